"""The pages that are generated from the code; ``make docs`` writes them, a test compares.

``docs/options.md``, ``deploy/env.example`` and the tables in ``README.md``.
"""

from __future__ import annotations

from pathlib import Path

from tgecrawler.options import OPTIONS, Option

ROOT = Path(__file__).resolve().parent.parent

COMMANDS = (
    ("make demo", "crawl a bundled archive without network, then show its alerts and events"),
    (
        "make demo-distributed",
        "three workers crawl the archive over a Redis and a PostgreSQL of their own, one is "
        "killed, and the rows are those of a single process",
    ),
    ("make test", "lint, types and all tests"),
    ("make crawl", "one cycle over the default sources into `var/tge.db`"),
    ("make watch", "poll the default sources for ever, each by its own rhythm"),
    (
        "scrapy crawl rss",
        "feeds → entries → article pages (`-a watch=1` for ever, `-a due=1` what is due, "
        "`-a only=SLUG,SLUG`, `-a max_age_days=N`)",
    ),
    ("scrapy crawl articles", "sites without a feed; back-fill with `-a since=2026-01-01`"),
    (
        "scrapy crawl records",
        "JSON lines that others collected (`-a file=PATH -a max_age_days=0`)",
    ),
    (
        "scrapy alerts",
        "what was found (`--company --kind --status --text --since --min-score --json --svg`), or "
        "is being found (`--follow --group`)",
    ),
    (
        "scrapy events",
        "the same by event (`--company --kind --status --since --min-confidence --largest "
        "--json`); `show EVENT`, `merge EVENT EVENT`, `split EVENT MENTION`",
    ),
    ("scrapy explain URL", "the score with every reason; also a file, or `-` with `--title`"),
    (
        "scrapy evaluate FILE.jsonl",
        "precision, recall and F1 against a labelled file (`--events --json --errors`)",
    ),
    (
        "scrapy fit FILE.jsonl ...",
        "the weights anew (`--out --written`), and what they are worth "
        "(`--cross-validate --hold-out --curve --json`)",
    ),
    (
        "scrapy backtest ARCHIVE",
        "alerts that new rules would gain and lose; also on a labelled file "
        "(`--lexicon --weights --watchlist --fail-on-change --json`)",
    ),
    ("scrapy report", "the last runs (`--json`)"),
    ("scrapy sources list", "what is crawled, how it fares, and when it is due (`--json`)"),
    (
        "scrapy cache",
        "`stats`, `clear`, `advise`: what is kept, how long (`--tier --json`)",
    ),
    ("scrapy spool", "rows that are not in the database: `list`, `write` them now (`--json`)"),
    (
        "scrapy queue",
        "what several workers share: `stats`, `dead`, `retry ID` (`--all`), `purge` "
        "(`--queue --dead --seen --clock --yes`), of all or of `--spider NAME` (`--json`)",
    ),
    (
        "scrapy db",
        "`upgrade [REVISION]`, `downgrade REVISION`, `current`, `check` (`--json`), "
        "`prune` (`--dry-run --json`), `vacuum`, `backup FILE`, `restore FILE` (`--force`)",
    ),
)


def options_page() -> str:
    """Return docs/options.md."""
    return (
        "# Options\n\n"
        "Generated from `tgecrawler/options.py` by `make docs`.\n\n"
        "`-s NAME=value` on the command line beats the environment, the environment beats the\n"
        "default. A secret can also come from a file that `NAME_FILE` names. An unknown name that\n"
        "begins with `TGE_` stops the process.\n\n" + options_table()
    )


def options_table() -> str:
    """Return the options as a Markdown table."""
    rows = ["| option | default | takes | meaning |", "|---|---|---|---|"]
    for option in OPTIONS:
        unit = f" ({option.unit})" if option.unit else ""
        secret = " Secret." if option.secret else ""
        default = f"`{_shown(option)}`" if _shown(option) else ""
        takes = f"{option.expected}{unit}"
        rows.append(f"| `{option.name}` | {default} | {takes} | {option.meaning}.{secret} |")
    return "\n".join(rows) + "\n"


def commands_table() -> str:
    """Return the commands as a Markdown table."""
    rows = [f"| `{command}` | {meaning} |" for command, meaning in COMMANDS]
    return "\n".join(["| command | does |", "|---|---|", *rows]) + "\n"


def env_example() -> str:
    """Return deploy/env.example."""
    lines = ["# Generated from tgecrawler/options.py by `make docs`.", ""]
    for option in OPTIONS:
        lines += [f"# {option.meaning}", f"# {option.name}={_shown(option)}", ""]
    return "\n".join(lines)


def readme(text: str) -> str:
    """Return the README with its generated tables brought up to date."""
    text = _between(text, "commands", commands_table())
    return _between(text, "options", options_table())


def pages() -> dict[Path, str]:
    """Return every generated page by its path."""
    front = ROOT / "README.md"
    return {
        ROOT / "docs" / "options.md": options_page(),
        ROOT / "deploy" / "env.example": env_example(),
        front: readme(front.read_text(encoding="utf-8")),
    }


def _shown(option: Option) -> str:
    value = option.default
    return str(int(value)) if isinstance(value, bool) else f"{value}".removesuffix(".0")


def _between(text: str, name: str, table: str) -> str:
    start, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
    before, _, rest = text.partition(start)
    _, _, after = rest.partition(end)
    return f"{before}{start}{table}{end}{after}"


if __name__ == "__main__":
    for path, content in pages().items():
        path.write_text(content, encoding="utf-8")
