"""What a spider saw of a live server, it sees again in a replay, with the server gone."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from archive_server import PAGES, TEXT

from harness import HERE, ROOT, TIMEOUT_S

pytestmark = pytest.mark.slow

HANDLER = "tgecrawler.archive.replay.ReplayDownloadHandler"
PATHS = [path for path in PAGES if not path.startswith("/caf")]
PATHS += ["/chunked", "/until-close", "/unknown", "/gzip?again#part"]
WHOLE = hashlib.sha256(TEXT).hexdigest()


def crawl(folder: Path, urls: list[str], **settings: Any) -> dict[str, Any]:
    """Run a crawl that only reaches loopback; return what was seen, and the stats."""
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("TGE_")},
        "PYTHONPATH": f"{ROOT}:{HERE / 'guard'}",
        "NETWORK_ATTEMPTS": str(folder / "attempts.log"),
        "NETWORK_LOOKUPS": str(folder / "lookups.log"),
    }
    given = {
        "HTTPERROR_ALLOW_ALL": True,
        "RETRY_ENABLED": False,
        "COOKIES_ENABLED": False,  # they ask the network for the public suffix list
        "DOWNLOAD_DELAY": 0,
        "TELNETCONSOLE_ENABLED": False,
        "REMOTE_CONTROL_ENABLED": False,
        "LOG_LEVEL": "WARNING",
        **settings,
    }
    script = [sys.executable, "-W", "error::DeprecationWarning", str(HERE / "archive_crawl.py")]
    done = subprocess.run(
        [*script, json.dumps(given), json.dumps(urls)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert not (folder / "attempts.log").exists()
    assert not (folder / "lookups.log").exists()
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.fixture
def server() -> Iterator[tuple[str, subprocess.Popen[str]]]:
    with subprocess.Popen(
        [sys.executable, str(HERE / "archive_server.py")], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}", process
        process.kill()


def test_a_replay_is_the_crawl_again(
    tmp_path: Path, server: tuple[str, subprocess.Popen[str]]
) -> None:
    base, process = server
    urls = [base + path for path in PATHS]
    middlewares = {"middlewares.archive.ArchiveMiddleware": 950}
    began = datetime.now(UTC)
    live = crawl(tmp_path, urls, TGE_ARCHIVE="archive", DOWNLOADER_MIDDLEWARES=middlewares)
    ended = datetime.now(UTC)
    process.kill()
    process.wait()

    assert live["seen"][f"{base}/caf%C3%A9?q=%C3%BC&r=%2f"]["status"] == 200
    packed = [live["seen"][base + path]["body"] for path in ("/gzip", "/brotli", "/chunked")]
    assert packed == [WHOLE] * 3
    assert live["seen"]["again"] == {"status": 304, "length": 0}
    archive = list((tmp_path / "archive").iterdir())
    assert len(archive) == 1
    assert live["stats"] == {
        "tge/archive/responses": len(urls) + 2,  # one redirect's goal, and a page again
        "tge/archive/bytes": archive[0].stat().st_size,
    }

    replayed = crawl(
        tmp_path,
        [*urls, f"{base}/never-asked"],
        TGE_REPLAY="archive",
        DOWNLOAD_HANDLERS={"http": HANDLER, "https": HANDLER},
    )
    missing = replayed["seen"].pop(f"{base}/never-asked")
    assert (missing["status"], missing["length"]) == (404, 0)
    moments = [missing["fetched_at"]]
    for seen in live["seen"].values():
        assert seen.pop("fetched_at", None) is None
    moments += [
        seen.pop("fetched_at") for seen in replayed["seen"].values() if "fetched_at" in seen
    ]
    assert replayed["seen"] == live["seen"]
    assert replayed["stats"] == {"tge/replay/hits": len(urls) + 2, "tge/replay/missing": 1}
    assert all(began <= datetime.fromisoformat(moment) <= ended for moment in moments)
    assert missing["fetched_at"] == max(moments, key=datetime.fromisoformat)


def test_a_replay_can_be_archived(
    tmp_path: Path, server: tuple[str, subprocess.Popen[str]]
) -> None:
    base, process = server
    middlewares = {"middlewares.archive.ArchiveMiddleware": 950}
    crawl(tmp_path, [f"{base}/gzip"], TGE_ARCHIVE="1", DOWNLOADER_MIDDLEWARES=middlewares)
    process.kill()
    seen = []
    for source, target in (("1", "2"), ("2", "3")):
        again = crawl(
            tmp_path,
            [f"{base}/gzip"],
            TGE_REPLAY=source,
            TGE_ARCHIVE=target,
            DOWNLOADER_MIDDLEWARES=middlewares,
            DOWNLOAD_HANDLERS={"http": HANDLER, "https": HANDLER},
        )
        seen.append(again["seen"])
    assert seen[0] == seen[1]
    assert seen[0][f"{base}/gzip"]["body"] == WHOLE
