"""``scrapy db``: the schema of the database, what is kept in it, and its backups."""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from tgecrawler.cli import TgeCommand, json_flag, one_of, require_database
from tgecrawler.errors import ArgumentError
from tgecrawler.storage.engine import create_engine
from tgecrawler.storage.engine_settings import EngineSettings
from tgecrawler.storage.integrity import data_findings, file_findings
from tgecrawler.storage.readiness import ensure_schema
from tgecrawler.storage.retention import Pruned, Pruner, Retention, option_of, would_prune
from tgecrawler.storage.vacuum import vacuum

if TYPE_CHECKING:
    import argparse

    from sqlalchemy import Engine

    from tgecrawler.options import Value
    from tgecrawler.storage.backup import Backup

# What an action takes beside its name: how an argument is called, and whether it may be left out.
ACTIONS: dict[str, tuple[str, bool]] = {
    "upgrade": ("REVISION", True),
    "downgrade": ("REVISION", False),
    "current": ("", True),
    "check": ("", True),
    "prune": ("", True),
    "vacuum": ("", True),
    "backup": ("FILE", False),
    "restore": ("FILE", False),
}
WITHOUT = {
    "downgrade": "downgrade takes a revision; base drops all tables and rows",
    "backup": "backup takes the file to write, such as var/tge.backup.gz",
    "restore": "restore takes a file that `scrapy db backup` wrote",
}
# What changes or copies a whole table takes as long as it takes, and of the database itself.
PATIENT = EngineSettings(program="db", statement_timeout_s=0, slow_query_ms=0)
FLAGS = {"dry_run": ("prune",), "force": ("backup", "restore"), "json": ("check", "prune")}


@dataclass(frozen=True, slots=True)
class Asked:
    """An action's argument and flags, and the options of this process."""

    argument: str
    options: dict[str, Value]
    dry_run: bool
    force: bool
    as_json: bool

    @property
    def url(self) -> str:
        return str(self.options["TGE_DATABASE_URL"])

    def engine(self) -> Engine:
        """Return the engine of the database, of whatever revision, or of one that is to be."""
        return create_engine(self.url, PATIENT)

    def existing(self) -> Engine:
        """Return the engine of a database that is there, of whatever revision."""
        require_database(self.url)
        return self.engine()

    def current(self) -> Engine:
        """Return the engine of a database that is there, upgraded where it is older."""
        engine = self.existing()
        ensure_schema(engine)
        return engine


class Command(TgeCommand):
    """upgrade [REVISION], downgrade REVISION, current, check, prune, vacuum, backup, restore."""

    most_arguments = 2

    def syntax(self) -> str:
        return (
            "[options] <upgrade [REVISION] | downgrade REVISION | current | check | prune | vacuum"
            " | backup FILE | restore FILE>"
        )

    def short_desc(self) -> str:
        return "Upgrade, check, prune, back up or restore the database"

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        super().add_options(parser)
        parser.add_argument("--dry-run", action="store_true", help="prune: only say what would go")
        parser.add_argument(
            "--force",
            action="store_true",
            help="backup: replace the file; restore: replace tables that are there",
        )
        json_flag(parser)

    def act(self, args: list[str], opts: argparse.Namespace) -> int | None:
        if not args:
            raise ArgumentError(f"db takes one of {', '.join(ACTIONS)}")
        action = one_of(args[0], ACTIONS, "action")
        what, optional = ACTIONS[action]
        if len(args) == 2 and not what:
            raise ArgumentError(f"{action} takes nothing more, not {args[1]!r}")
        if len(args) == 1 and not optional:
            raise ArgumentError(WITHOUT[action])
        for flag, actions in FLAGS.items():
            if getattr(opts, flag) and action not in actions:
                name = flag.replace("_", "-")
                raise ArgumentError(f"--{name} goes with {' and '.join(actions)}, not {action}")
        argument = args[1] if len(args) == 2 else ""
        asked = Asked(argument, self.options(), opts.dry_run, opts.force, opts.json)
        return _DO[action](asked)


def _upgrade(asked: Asked) -> None:
    from tgecrawler.storage import schema  # alembic, which no other command needs

    engine = asked.engine()
    schema.upgrade(engine, asked.argument or "head")
    _print_revision(engine)


def _downgrade(asked: Asked) -> None:
    from tgecrawler.storage import schema

    engine = asked.engine()
    schema.downgrade(engine, asked.argument)
    _print_revision(engine)


def _current(asked: Asked) -> None:
    _print_revision(asked.engine())


def _print_revision(engine: Engine) -> None:
    from tgecrawler.storage import schema

    print(schema.current(engine) or "no tables yet; run `scrapy db upgrade`")


def _check(asked: Asked) -> int:
    """Say what is amiss; return 1 where that is more than a warning."""
    from tgecrawler.storage import schema

    engine = asked.existing()
    findings = file_findings(engine)
    if not findings:  # of a damaged file, no other question is answered
        schema.check(engine)
        findings = data_findings(engine, datetime.now(UTC))
    if asked.as_json:
        _print_json([asdict(finding) for finding in findings])
    else:
        for finding in findings:
            print(finding)
        _print_revision(engine)
    return int(not all(finding.warning for finding in findings))


def _prune(asked: Asked) -> None:
    """Say what went, or would go."""
    engine = asked.current()
    retention = Retention.of(asked.options)
    if asked.dry_run:
        pruned = would_prune(engine, retention, datetime.now(UTC))
    else:
        pruned = Pruner(engine, retention).prune()
    if asked.as_json:
        _print_json(pruned.as_json())
        return
    _print_pruned(pruned, retention, dry_run=asked.dry_run)


def _print_pruned(pruned: Pruned, retention: Retention, *, dry_run: bool) -> None:
    for table, rows in pruned.rows.items():
        at_most = "at most " if dry_run and table == "mentions" else ""
        print(f"{table}: {at_most}{rows} rows {'would go' if dry_run else 'deleted'}")
    for names, what in (
        (pruned.dropped, "would be dropped" if dry_run else "detached and dropped"),
        (pruned.made, "made"),
        (pruned.busy, "being read, so not dropped; run prune again"),
    ):
        for name in names:
            print(f"{name}: partition {what}")
    if pruned.kept_events:
        print(
            f"events: {pruned.kept_events} old ones keep their mentions,"
            " without which others would change"
        )
    if for_ever := [option_of(name) for name, days in asdict(retention).items() if not days]:
        print(f"kept for ever: {', '.join(for_ever)}")


def _vacuum(asked: Asked) -> None:
    sizes = vacuum(asked.current())
    print(f"{_mb(sizes.before_bytes)} before, {_mb(sizes.after_bytes)} after")


def _backup(asked: Asked) -> None:
    from tgecrawler.storage.backup import back_up

    # Not brought up to date: a backup is what one makes before that.
    _print_backup(back_up(asked.existing(), Path(asked.argument), force=asked.force))


def _restore(asked: Asked) -> None:
    from tgecrawler.storage.backup import restore

    _print_backup(restore(asked.url, Path(asked.argument), force=asked.force))


def _print_backup(backup: Backup) -> None:
    print(
        f"{backup.file}: {_mb(backup.size_bytes)}, revision {backup.revision},"
        f" in {backup.took_s:.1f} s"
    )


def _mb(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:.1f} MB"


def _print_json(shown: Any) -> None:
    sys.stdout.write(orjson.dumps(shown, option=orjson.OPT_INDENT_2).decode() + "\n")


_DO = {
    "upgrade": _upgrade,
    "downgrade": _downgrade,
    "current": _current,
    "check": _check,
    "prune": _prune,
    "vacuum": _vacuum,
    "backup": _backup,
    "restore": _restore,
}
