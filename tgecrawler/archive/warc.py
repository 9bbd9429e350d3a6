"""Web archives (WARC): what other rooms need of them."""

from __future__ import annotations

from tgecrawler.archive.body import BodyTooLargeError
from tgecrawler.archive.index import WarcIndex
from tgecrawler.archive.response import ArchivedResponse
from tgecrawler.archive.writer import WarcWriter, archive_path

__all__ = ["ArchivedResponse", "BodyTooLargeError", "WarcIndex", "WarcWriter", "archive_path"]
