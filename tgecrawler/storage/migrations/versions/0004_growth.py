"""What keeps a large database fast: texts apart, lists ready for their filters, a text search.

Also accounts and their followers.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import date
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from alembic import op

if TYPE_CHECKING:
    from collections.abc import Iterator

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)
ROWS_AT_ONCE = 1_000
MONTHS_AHEAD = 2
LONG_AGO = "1970-01-01 00:00:00"

_WORD = re.compile(r"[^\W_]+")


def upgrade() -> None:
    """Make the tables, and fill them from what is stored."""
    _move_texts()
    _complete_traits()
    _create_accounts()
    _make_alerts_anew()
    _create_alert_companies()
    _create_event_companies()
    _size_events()
    _time_event_mentions()
    _index_events()


def downgrade() -> None:
    """Put texts and alerts back. Texts that were let go stay empty; accounts are lost."""
    _drop_event_indexes()
    op.execute("ALTER TABLE events DROP COLUMN size")
    op.drop_index("ix_event_mentions_event_id_told_at", "event_mentions")
    op.execute("ALTER TABLE event_mentions DROP COLUMN told_at")
    op.create_index("ix_event_mentions_event_id", "event_mentions", ["event_id"])
    op.drop_table("event_companies")
    op.drop_table("alert_companies")
    _put_alerts_back()
    op.drop_table("follower_snapshots")
    op.drop_table("accounts")
    _put_texts_back()


def _on_postgresql() -> bool:
    return op.get_bind().dialect.name == "postgresql"


def _move_texts() -> None:
    op.create_table(
        "mention_texts",
        sa.Column("mention_id", sa.String(40), nullable=False),
        sa.Column("month", sa.Date, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("mention_id", "month", name="pk_mention_texts"),
        sa.ForeignKeyConstraint(
            ["mention_id"],
            ["mentions.id"],
            name="fk_mention_texts_mention_id_mentions",
            ondelete="CASCADE",
        ),
        postgresql_partition_by="RANGE (month)",
    )
    month = "strftime('%Y-%m-01', stored_at)"
    if _on_postgresql():
        month = "date_trunc('month', stored_at AT TIME ZONE 'UTC')::date"
        _compress()
        _create_partitions()
    op.execute(f"INSERT INTO mention_texts SELECT id, {month}, text FROM mentions WHERE text <> ''")
    op.execute("ALTER TABLE mentions DROP COLUMN text")


def _compress() -> None:
    """Let long columns be compressed by lz4: 1.3 to 1.6 times the rows of 3 kB a second."""
    query = "SELECT 'lz4' = ANY(enumvals) FROM pg_settings WHERE name = :setting"
    setting = {"setting": "default_toast_compression"}
    if op.get_bind().scalar(sa.text(query), setting):
        for table, column in (
            ("mention_texts", "text"),
            ("mentions", "summary"),
            ("mentions", "reasons"),
            ("events", "history"),
        ):
            op.execute(f"ALTER TABLE {table} ALTER COLUMN {column} SET COMPRESSION lz4")


def _create_partitions() -> None:
    """Create a partition for each month with mentions, for this one and the next."""
    first = sa.text("SELECT min(stored_at)::date, CURRENT_DATE, max(stored_at)::date FROM mentions")
    oldest, today, newest = op.get_bind().execute(first).one()
    month = (oldest or today).replace(day=1)
    last = max(today, newest or today).replace(day=1)
    for _ in range(MONTHS_AHEAD):
        last = _next(last)
    while month <= last:
        op.execute(
            f"CREATE TABLE mention_texts_{month:%Y_%m} PARTITION OF mention_texts"
            f" FOR VALUES FROM ('{month}') TO ('{_next(month)}')"
        )
        month = _next(month)


def _next(month: date) -> date:
    return date(month.year + month.month // 12, month.month % 12 + 1, 1)


def _put_texts_back() -> None:
    op.add_column("mentions", sa.Column("text", sa.Text, nullable=False, server_default=""))
    op.execute(
        "UPDATE mentions SET text = mention_texts.text FROM mention_texts"
        " WHERE mention_texts.mention_id = mentions.id"
    )
    if _on_postgresql():
        op.execute("ALTER TABLE mentions ALTER COLUMN text DROP DEFAULT")
    op.drop_table("mention_texts")


def _complete_traits() -> None:
    """Give every mention a row of traits, so that those to be made anew are found by index."""
    op.execute(
        "INSERT INTO mention_traits (mention_id, project_key, token_key, track, season, entity,"
        " version, fingerprint)"
        " SELECT id, '', '', '', 0, '', '', CAST('' AS "
        + ("bytea" if _on_postgresql() else "blob")
        + ") FROM mentions WHERE NOT EXISTS"
        " (SELECT 1 FROM mention_traits WHERE mention_id = mentions.id)"
    )


def _create_accounts() -> None:
    op.create_table(
        "accounts",
        sa.Column("platform", sa.String(20), nullable=False),
        sa.Column("handle", sa.String(100), nullable=False),
        sa.Column("account_id", sa.String(100), nullable=False),
        sa.Column("name", sa.String(300), nullable=False),
        sa.Column("company", sa.String(200)),
        sa.Column("added_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("platform", "handle", name="pk_accounts"),
        sa.ForeignKeyConstraint(
            ["company"], ["companies.name"], name="fk_accounts_company_companies"
        ),
    )
    op.create_table(
        "follower_snapshots",
        sa.Column("platform", sa.String(20), nullable=False),
        sa.Column("handle", sa.String(100), nullable=False),
        sa.Column("day", sa.Date, nullable=False),
        sa.Column("followers", sa.BigInteger, nullable=False),
        sa.Column("following", sa.BigInteger, nullable=False),
        sa.Column("posts", sa.BigInteger, nullable=False),
        sa.Column("taken_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("platform", "handle", "day", name="pk_follower_snapshots"),
        sa.ForeignKeyConstraint(
            ["platform", "handle"],
            ["accounts.platform", "accounts.handle"],
            name="fk_follower_snapshots_platform_accounts",
            ondelete="CASCADE",
        ),
    )


def _make_alerts_anew() -> None:
    """Fill alerts with what they are filtered and searched by."""
    op.execute("CREATE TABLE alerts_before AS SELECT * FROM alerts")
    op.drop_table("alerts")
    op.create_table(
        "alerts",
        sa.Column("id", sa.String(40), nullable=False),
        sa.Column("mention_id", sa.String(40), nullable=False),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("latency_s", sa.Double),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("status", sa.String(20), nullable=False),
        sa.Column("score", sa.Double, nullable=False),
        sa.Column("words", sa.String(2_000), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_alerts"),
        sa.UniqueConstraint("mention_id", name="uq_alerts_mention_id"),
        sa.UniqueConstraint("position", name="uq_alerts_position"),
        sa.ForeignKeyConstraint(
            ["mention_id"],
            ["mentions.id"],
            name="fk_alerts_mention_id_mentions",
            ondelete="CASCADE",
        ),
    )
    _create_search()
    columns = (name for name in _ALERT_COLUMNS if name != "created_at")
    alerts = sa.table("alerts", *map(sa.column, columns), sa.column("created_at", MOMENT))
    for rows in _alert_rows():
        op.bulk_insert(alerts, rows)
    op.drop_table("alerts_before")
    op.create_index("ix_alerts_kind_position", "alerts", ["kind", "position"])
    op.create_index("ix_alerts_status_position", "alerts", ["status", "position"])
    op.create_index("ix_alerts_created_at", "alerts", ["created_at", "kind", "latency_s"])


_ALERT_COLUMNS = (
    "id", "mention_id", "position", "created_at", "latency_s", "kind", "status", "score", "words",
)  # fmt: skip


def _create_search() -> None:
    if _on_postgresql():
        op.execute(
            "CREATE INDEX ix_alerts_words ON alerts USING gin (to_tsvector('simple', words))"
        )
        return
    op.execute("CREATE VIRTUAL TABLE alert_search USING fts5(words)")
    gone = "DELETE FROM alert_search WHERE rowid = old.position"
    come = "INSERT INTO alert_search (rowid, words) VALUES (new.position, new.words)"
    for name, when, what in (
        ("insert", "INSERT", f"{come};"),
        ("delete", "DELETE", f"{gone};"),
        ("update", "UPDATE OF position, words", f"{gone}; {come};"),
    ):
        op.execute(f"CREATE TRIGGER alert_search_{name} AFTER {when} ON alerts BEGIN {what} END")


def _alert_rows() -> Iterator[list[dict[str, Any]]]:
    """Yield the alerts in parts, with their places and words."""
    micros = (
        "CAST(strftime('%s', created_at) AS INTEGER) * 1000000"
        " + CAST(substr(created_at, 21, 6) AS INTEGER)"
    )
    if _on_postgresql():
        micros = "(extract(epoch FROM created_at) * 1000000)::bigint"
    companies = "group_concat(company, ' ')"
    if _on_postgresql():
        companies = "string_agg(company, ' ')"
    query = (
        f"SELECT a.id, a.mention_id, a.created_at, a.latency_s, m.kind, m.status, m.score,"
        f" m.title, m.project, m.token,"
        f" (SELECT {companies} FROM mention_companies WHERE mention_id = m.id) AS companies,"
        f" ({micros}) * 1024 + row_number() OVER (PARTITION BY a.created_at"
        f" ORDER BY coalesce(m.published_at, m.seen_at), a.id DESC) - 1 AS position"
        f" FROM alerts_before a JOIN mentions m ON m.id = a.mention_id"
    )
    typed = sa.text(query).columns(created_at=MOMENT)
    in_parts = {"yield_per": ROWS_AT_ONCE}
    result = op.get_bind().execute(typed, execution_options=in_parts)
    for part in result.mappings().partitions():
        yield [
            {
                **{name: row[name] for name in _ALERT_COLUMNS if name != "words"},
                "words": _words(row["title"], row["project"], row["token"], row["companies"] or ""),
            }
            for row in part
        ]


def _words(*texts: str) -> str:
    plain = unicodedata.normalize("NFKD", " ".join(texts).casefold())
    letters = "".join(one for one in plain if not unicodedata.combining(one))
    return " ".join(dict.fromkeys(_WORD.findall(letters)))[:2_000]


def _put_alerts_back() -> None:
    op.execute(
        "CREATE TABLE alerts_after AS SELECT id, mention_id, created_at, latency_s FROM alerts"
    )
    if not _on_postgresql():
        op.execute("DROP TABLE alert_search")
    op.drop_table("alerts")
    op.create_table(
        "alerts",
        sa.Column("id", sa.String(40), nullable=False),
        sa.Column("mention_id", sa.String(40), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("latency_s", sa.Double),
        sa.PrimaryKeyConstraint("id", name="pk_alerts"),
        sa.UniqueConstraint("mention_id", name="uq_alerts_mention_id"),
        sa.ForeignKeyConstraint(
            ["mention_id"],
            ["mentions.id"],
            name="fk_alerts_mention_id_mentions",
            ondelete="CASCADE",
        ),
    )
    op.execute("INSERT INTO alerts SELECT * FROM alerts_after")
    op.drop_table("alerts_after")
    op.create_index("ix_alerts_created_at", "alerts", ["created_at"])


def _create_alert_companies() -> None:
    op.create_table(
        "alert_companies",
        sa.Column("alert_id", sa.String(40), nullable=False),
        sa.Column("company", sa.String(200), nullable=False),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.Column("score", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("alert_id", "company", name="pk_alert_companies"),
        sa.ForeignKeyConstraint(
            ["alert_id"],
            ["alerts.id"],
            name="fk_alert_companies_alert_id_alerts",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["company"], ["companies.name"], name="fk_alert_companies_company_companies"
        ),
    )
    op.execute(
        "INSERT INTO alert_companies SELECT a.id, c.company, a.position, a.score"
        " FROM alerts a JOIN mention_companies c ON c.mention_id = a.mention_id"
    )
    op.create_index(
        "ix_alert_companies_company_position", "alert_companies", ["company", "position", "score"]
    )


def _create_event_companies() -> None:
    op.create_table(
        "event_companies",
        sa.Column("event_id", sa.String(40), nullable=False),
        sa.Column("company", sa.String(200), nullable=False),
        sa.Column("last_seen_at", MOMENT, nullable=False),
        sa.Column("confidence", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("event_id", "company", name="pk_event_companies"),
        sa.ForeignKeyConstraint(
            ["event_id"],
            ["events.id"],
            name="fk_event_companies_event_id_events",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["company"], ["companies.name"], name="fk_event_companies_company_companies"
        ),
    )
    each = "json_each(events.companies) AS one"
    if _on_postgresql():
        each = "json_array_elements_text(events.companies) AS one(value)"
    op.execute(
        "INSERT INTO event_companies SELECT events.id, one.value, last_seen_at, confidence"
        f" FROM events, {each} WHERE one.value IN (SELECT name FROM companies)"
    )
    op.create_index(
        "ix_event_companies_company_last_seen_at",
        "event_companies",
        ["company", "last_seen_at", "event_id", "confidence"],
    )


def _size_events() -> None:
    size = sa.Column("size", sa.Integer, nullable=False, server_default="0")
    op.add_column("events", size)
    op.execute("UPDATE events SET size = mentions + copies")
    _no_default("events", "size")


def _time_event_mentions() -> None:
    """Say with each mention of an event when it was told, so that pages of them are in order."""
    told_at = sa.Column("told_at", MOMENT, nullable=False, server_default=LONG_AGO)
    op.add_column("event_mentions", told_at)
    op.execute(
        "UPDATE event_mentions SET told_at = coalesce(published_at, seen_at)"
        " FROM mentions WHERE mentions.id = event_mentions.mention_id"
    )
    _no_default("event_mentions", "told_at")
    op.drop_index("ix_event_mentions_event_id", "event_mentions")
    op.create_index(
        "ix_event_mentions_event_id_told_at",
        "event_mentions",
        ["event_id", "told_at", "mention_id"],
    )


def _no_default(table: str, column: str) -> None:
    """Take the default away that a new column needed for the rows that were there.

    SQLite could do so only by copying the table; there it stays, and serves nobody.
    """
    if _on_postgresql():
        op.execute(f"ALTER TABLE {table} ALTER COLUMN {column} DROP DEFAULT")


def _index_events() -> None:
    op.drop_index("ix_events_last_seen_at", "events")
    op.drop_index("ix_events_changed_at", "events")
    op.create_index("ix_events_last_seen_at", "events", ["last_seen_at", "id"])
    for column in ("kind", "status"):
        op.create_index(
            f"ix_events_{column}_last_seen_at", "events", [column, "last_seen_at", "id"]
        )
    op.create_index("ix_events_created_at", "events", ["created_at"])
    op.create_index("ix_events_size", "events", ["size", "id"])


def _drop_event_indexes() -> None:
    for name in ("kind_last_seen_at", "status_last_seen_at", "created_at", "last_seen_at", "size"):
        op.drop_index(f"ix_events_{name}", "events")
    for column in ("last_seen_at", "changed_at"):
        op.create_index(f"ix_events_{column}", "events", [column])
