"""``scrapy spool``: rows that wait on disk, and rows that the database refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tgecrawler.cli import TgeCommand, json_flag, one_of, open_database, print_json, print_table
from tgecrawler.errors import ArgumentError
from tgecrawler.extensions.store import open_lasting
from tgecrawler.storage.aside import Aside
from tgecrawler.storage.bisection import write_in_parts
from tgecrawler.storage.spool import rows_on_disk, spool_folder

if TYPE_CHECKING:
    import argparse

    from tgecrawler.storage.lasting import LastingWriter

ACTIONS = ("list", "write")


class Command(TgeCommand):
    """list, write"""

    most_arguments = 1

    def syntax(self) -> str:
        return "[options] list|write"

    def short_desc(self) -> str:
        return "Show the rows that are not in the database yet, or write them"

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        super().add_options(parser)
        json_flag(parser)

    def act(self, args: list[str], opts: argparse.Namespace) -> int:
        if not args:
            raise ArgumentError(f"spool takes one of {', '.join(ACTIONS)}")
        if one_of(args[0], ACTIONS, "action") == "list":
            self._list(as_json=opts.json)
            return 0
        lasting = open_lasting(open_database(self.options()), self.options())
        try:
            written = _write(lasting)
        finally:
            lasting.close()
        _show(written, as_json=opts.json)
        return int(bool(written["refused"]))

    def _list(self, *, as_json: bool) -> None:
        options = self.options()
        folder = spool_folder(str(options["TGE_DATABASE_URL"]), str(options["TGE_SPOOL_PATH"]))
        aside = Aside(folder)
        rows = aside.rows()
        if as_json:
            listed = [
                {"at": row.at, "entry_id": row.entry_id, "url": row.url, "reason": row.reason}
                for row in rows
            ]
            print_json({"waiting": rows_on_disk(folder), "put_aside": listed})
            return
        print(f"{rows_on_disk(folder)} rows wait in {folder} for the next run")
        if not rows:
            print("no rows were refused")
            return
        print_table(
            f"refused, and kept in {aside.path}",
            ("put aside", "address", "reason"),
            [(f"{row.at:%Y-%m-%d %H:%M:%S}", row.url or row.entry_id, row.reason) for row in rows],
        )


def _write(lasting: LastingWriter) -> dict[str, int]:
    """Write what waits, then what was refused; return the counts.

    Raises:
        DatabaseError: the database is away, and what is not written stays on disk.
    """
    recovered = lasting.recover()
    rows = lasting.aside.rows()
    written: list[str] = []
    for row in rows:
        parts = write_in_parts(lasting.writer.write, row.batch)
        if parts.error is not None:
            raise parts.error
        if parts.commits:
            lasting.aside.remove([row.entry_id])
            written.append(row.entry_id)
    return {
        "waiting": recovered,
        "put_aside": len(written),
        "refused": len(rows) - len(written),
    }


def _show(written: dict[str, int], *, as_json: bool) -> None:
    if as_json:
        print_json(written)
        return
    print(
        f"written: {written['waiting']} mentions that waited, {written['put_aside']} that were "
        f"refused before; still refused: {written['refused']}"
    )
