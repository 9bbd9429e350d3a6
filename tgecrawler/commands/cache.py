"""``scrapy cache``: what is kept from one run to the next, and what that is worth."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from tgecrawler.cache.level import Gone, LevelError
from tgecrawler.cache.opening import CacheOptions, open_level
from tgecrawler.cache.report import Advice, TierRow, advise, tier_rows
from tgecrawler.cache.tiers import tiers_with
from tgecrawler.cli import TgeCommand, json_flag, one_of, print_json, print_table
from tgecrawler.errors import ArgumentError, CacheError

if TYPE_CHECKING:
    import argparse

    from tgecrawler.cache.level import SharedLevel
    from tgecrawler.cache.tiers import Tier

ACTIONS = ("stats", "clear", "advise")


@dataclass(frozen=True, slots=True)
class Asked:
    """An opened cache, and the tiers that were asked about."""

    level: SharedLevel
    tiers: dict[str, Tier]
    tier: str | None
    as_json: bool


class Command(TgeCommand):
    """stats, clear, advise"""

    most_arguments = 1

    def syntax(self) -> str:
        return "[options] stats|clear|advise"

    def short_desc(self) -> str:
        return "Show what the cache holds and saves, empty it, or propose other times"

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        super().add_options(parser)
        parser.add_argument("--tier", metavar="TIER", help="this tier alone")
        json_flag(parser)

    def act(self, args: list[str], opts: argparse.Namespace) -> None:
        if not args:
            raise ArgumentError(f"cache takes one of {', '.join(ACTIONS)}")
        action = one_of(args[0], ACTIONS, "action")
        options = CacheOptions.of(self.options())
        tiers = tiers_with(options.ttls)
        tier = one_of(opts.tier, tiers, "tier") if opts.tier else None
        chosen = {name: row for name, row in tiers.items() if tier in (None, name)}
        level = _existing(options)
        try:
            asked = Asked(level, chosen, tier, opts.json)
            {"stats": show_stats, "clear": clear, "advise": show_advice}[action](asked)
        except LevelError as error:
            raise CacheError(f"the cache cannot be used: {error}") from error
        finally:
            level.close()


def show_stats(asked: Asked) -> None:
    """Print what each tier holds, and how it has served so far."""
    rows = tier_rows(asked.tiers, asked.level)
    if asked.as_json:
        print_json({"bytes": asked.level.used_bytes(), "tiers": [asdict(row) for row in rows]})
        return
    columns = ("tier", "entries", "MB", "hits", "misses", "revalidated", "hit ratio", "changed")
    title = f"{asked.level.used_bytes() / 1e6:.1f} MB, all runs so far"
    print_table(title, columns, [_stats_cells(row) for row in rows])


def clear(asked: Asked) -> None:
    """Drop all entries, or those of a tier; running crawls drop them too."""
    dropped = asked.level.drop(Gone(tier=asked.tier), now_s=0.0)
    if asked.as_json:
        print_json({"dropped": dropped})
    else:
        print(f"dropped {dropped} entries")


def show_advice(asked: Asked) -> None:
    """Print how often originals changed, and the times that follow from it."""
    rows = advise(asked.tiers, asked.level.counts())
    if asked.as_json:
        print_json([asdict(row) for row in rows])
        return
    columns = ("tier", "time now", "proposed", "hit ratio", "changed in looks", "why")
    print_table("times by tier", columns, [_advice_cells(row) for row in rows])
    if wanted := [f"{row.tier}={row.proposed_ttl_s:.0f}" for row in rows if row.differs]:
        print(f"to take them: TGE_CACHE_TTLS={','.join(wanted)}")


def _existing(options: CacheOptions) -> SharedLevel:
    """Return the level; a command must not make a file where there is none."""
    level = open_level(options)
    if level is None:
        raise CacheError("the cache is off (TGE_CACHE_URL)")
    if options.file is not None and not options.file.exists():
        raise CacheError(f"there is no cache {options.file} yet; a crawl makes it")
    return level


def _stats_cells(row: TierRow) -> tuple[str, ...]:
    share = f"{row.changes:.0f} of {row.checks:.0f} looks"
    return (
        row.tier,
        f"{row.entries}",
        f"{row.size_bytes / 1e6:.1f}",
        f"{row.hits:.0f}",
        f"{row.misses:.0f}",
        f"{row.revalidated:.0f}",
        f"{row.hit_ratio:.0%}",
        share if row.checks else "",
    )


def _advice_cells(row: Advice) -> tuple[str, ...]:
    return (
        row.tier,
        _span(row.ttl_s),
        _span(row.proposed_ttl_s),
        f"{row.hit_ratio:.0%}",
        f"{row.changes:.0f} of {row.checks:.0f}",
        row.why,
    )


def _span(seconds: float) -> str:
    """Return a time as people say it: 90 s, 10 min, 3 h, 2 d."""
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size or seconds == size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.3g} s"
