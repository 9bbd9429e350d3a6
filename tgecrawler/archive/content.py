"""The body of an archived response as a reader of pages takes it: nothing packed any more."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import brotli  # type: ignore[import-untyped]
import zstandard

from tgecrawler.sources.decoding import LARGEST_BODY
from tgecrawler.sources.encoding import inflate_body

if TYPE_CHECKING:
    from tgecrawler.archive.response import ArchivedResponse


def header_of(response: ArchivedResponse, name: str) -> str:
    """Return the first header of a name, "" where there is none; case does not count."""
    return next((value for key, value in response.headers if key.lower() == name.lower()), "")


def content_of(response: ArchivedResponse) -> bytes:
    """Return the body free of content encoding.

    Many archives keep the header of a body that they have unpacked: such a body
    is left as it is.

    Raises:
        SourceError: damaged, or more than `LARGEST_BODY` bytes.
    """
    encoding = header_of(response, "Content-Encoding").strip().lower()
    unpack = {"br": _unbrotli, "zstd": _unzstd}.get(encoding)
    body = unpack(response.body) if unpack else response.body
    return inflate_body(body, longest_bytes=LARGEST_BODY)  # gzip and deflate show in the bytes


def _unbrotli(body: bytes) -> bytes:
    try:
        return bytes(brotli.Decompressor().process(body, output_buffer_limit=LARGEST_BODY + 1))
    except brotli.error:
        return body


def _unzstd(body: bytes) -> bytes:
    try:
        with zstandard.ZstdDecompressor().stream_reader(io.BytesIO(body)) as reader:
            return reader.read(LARGEST_BODY + 1)
    except zstandard.ZstdError:
        return body
