"""``scrapy db``: the schema of the database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tgecrawler.cli import TgeCommand, one_of
from tgecrawler.errors import ArgumentError
from tgecrawler.storage.engine import create_engine
from tgecrawler.storage.engine_settings import EngineSettings

if TYPE_CHECKING:
    import argparse

ACTIONS = ("upgrade", "downgrade", "current", "check")


class Command(TgeCommand):
    """upgrade [REVISION], downgrade REVISION, current, check."""

    most_arguments = 2

    def syntax(self) -> str:
        return "[options] <upgrade [REVISION] | downgrade REVISION | current | check>"

    def short_desc(self) -> str:
        return "Upgrade, downgrade or check the database's schema"

    def act(self, args: list[str], opts: argparse.Namespace) -> None:
        if not args:
            raise ArgumentError(f"db takes one of {', '.join(ACTIONS)}")
        action = one_of(args[0], ACTIONS, "action")
        from tgecrawler.storage import schema  # alembic, which no other command needs

        revision = args[1] if len(args) == 2 else ""
        # what changes or copies a whole table takes as long as it takes
        settings = EngineSettings(program="db", statement_timeout_s=0, slow_query_ms=0)
        engine = create_engine(str(self.options()["TGE_DATABASE_URL"]), settings)
        if action == "upgrade":
            schema.upgrade(engine, revision or "head")
        elif action == "downgrade":
            if not revision:
                raise ArgumentError("downgrade takes a revision; base drops all tables and rows")
            schema.downgrade(engine, revision)
        elif action == "check":
            schema.check(engine)
        print(schema.current(engine) or "no tables yet; run `scrapy db upgrade`")
