from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tgecrawler.storage import readiness, schema
from tgecrawler.storage.engine import create_engine


def test_the_newest_revision_is_that_of_the_scripts(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path}/tge.db")
    readiness.ensure_schema(engine)
    assert schema.current(engine) == readiness.HEAD
    schema.check(engine)


def test_a_current_database_needs_no_alembic(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/tge.db"
    readiness.ensure_schema(create_engine(url))
    script = (
        "import sys; from tgecrawler.storage.engine import create_engine;"
        "from tgecrawler.storage.readiness import ensure_schema;"
        "import tgecrawler.extensions.store, tgecrawler.commands.db, tgecrawler.cli;"
        f"ensure_schema(create_engine({url!r})); print('alembic' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"
