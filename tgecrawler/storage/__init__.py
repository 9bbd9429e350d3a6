"""The database: tables, migrations, the one writer, and typed queries."""

from __future__ import annotations

import logging

# Here because alembic logs already while it is imported, and then two INFO lines
# for every look at the schema: nothing that an operator could use.
logging.getLogger("alembic").setLevel(logging.WARNING)
