"""Events: what tells a mention's event, its near copies, events and their members."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Create the tables; the next crawl fills them for the mentions that are there."""
    _create_mention_traits()
    _create_near_copies()
    _create_events()
    _create_event_mentions()
    _create_event_edits()


def downgrade() -> None:
    """Drop the tables, children first. Edits made by hand are lost with them."""
    for table in (
        "event_redirects",
        "event_edits",
        "event_mentions",
        "events",
        "near_copies",
        "mention_traits",
    ):
        op.drop_table(table)


def _create_mention_traits() -> None:
    op.create_table(
        "mention_traits",
        sa.Column("mention_id", sa.String(40), nullable=False),
        sa.Column("project_key", sa.String(60), nullable=False),
        sa.Column("token_key", sa.String(60), nullable=False),
        sa.Column("track", sa.String(80), nullable=False),
        sa.Column("season", sa.Integer, nullable=False),
        sa.Column("entity", sa.String(80), nullable=False),
        sa.Column("version", sa.String(20), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("mention_id", name="pk_mention_traits"),
        sa.ForeignKeyConstraint(
            ["mention_id"],
            ["mentions.id"],
            name="fk_mention_traits_mention_id_mentions",
            ondelete="CASCADE",
        ),
    )
    for column in ("token_key", "entity", "version"):
        op.create_index(f"ix_mention_traits_{column}", "mention_traits", [column])


def _create_near_copies() -> None:
    op.create_table(
        "near_copies",
        sa.Column("mention_id", sa.String(40), nullable=False),
        sa.Column("other_id", sa.String(40), nullable=False),
        sa.Column("similarity", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("mention_id", "other_id", name="pk_near_copies"),
        sa.ForeignKeyConstraint(
            ["mention_id"],
            ["mentions.id"],
            name="fk_near_copies_mention_id_mentions",
            ondelete="CASCADE",
        ),
    )
    op.create_index("ix_near_copies_other_id", "near_copies", ["other_id"])


def _create_events() -> None:
    op.create_table(
        "events",
        sa.Column("id", sa.String(40), nullable=False),
        sa.Column("project", sa.String(200), nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("token", sa.String(50), nullable=False),
        sa.Column("exchange", sa.String(100), nullable=False),
        sa.Column("chain", sa.String(100), nullable=False),
        sa.Column("status", sa.String(20), nullable=False),
        sa.Column("event_date", sa.String(40), nullable=False),
        sa.Column("event_date_precision", sa.String(10)),
        sa.Column("claim_url", sa.String(4096), nullable=False),
        sa.Column("claim_url_official", sa.Boolean),
        sa.Column("companies", sa.JSON, nullable=False),
        sa.Column("shown_mention", sa.String(40), nullable=False),
        sa.Column("title", sa.String(1000), nullable=False),
        sa.Column("url", sa.String(4096), nullable=False),
        sa.Column("first_seen_at", MOMENT, nullable=False),
        sa.Column("first_source", sa.String(100), nullable=False),
        sa.Column("first_mention", sa.String(40), nullable=False),
        sa.Column("last_seen_at", MOMENT, nullable=False),
        sa.Column("mentions", sa.Integer, nullable=False),
        sa.Column("copies", sa.Integer, nullable=False),
        sa.Column("owners", sa.Integer, nullable=False),
        sa.Column("confidence", sa.Double, nullable=False),
        sa.Column("history", sa.JSON, nullable=False),
        sa.Column("sequence", sa.Integer, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("changed_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_events"),
    )
    for column in ("last_seen_at", "changed_at"):
        op.create_index(f"ix_events_{column}", "events", [column])


def _create_event_mentions() -> None:
    op.create_table(
        "event_mentions",
        sa.Column("mention_id", sa.String(40), nullable=False),
        sa.Column("event_id", sa.String(40), nullable=False),
        sa.PrimaryKeyConstraint("mention_id", name="pk_event_mentions"),
        sa.ForeignKeyConstraint(
            ["mention_id"],
            ["mentions.id"],
            name="fk_event_mentions_mention_id_mentions",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["event_id"],
            ["events.id"],
            name="fk_event_mentions_event_id_events",
            ondelete="CASCADE",
        ),
    )
    op.create_index("ix_event_mentions_event_id", "event_mentions", ["event_id"])


def _create_event_edits() -> None:
    op.create_table(
        "event_edits",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("action", sa.String(10), nullable=False),
        sa.Column("mentions", sa.JSON, nullable=False),
        sa.Column("made_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_event_edits"),
    )
    op.create_table(
        "event_redirects",
        sa.Column("old_id", sa.String(40), nullable=False),
        sa.Column("new_id", sa.String(40), nullable=False),
        sa.PrimaryKeyConstraint("old_id", name="pk_event_redirects"),
    )
    op.create_index("ix_event_redirects_new_id", "event_redirects", ["new_id"])
