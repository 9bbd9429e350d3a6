"""Bytes of the web as text."""

from __future__ import annotations

import zlib

from w3lib.encoding import html_to_unicode

from tgecrawler.errors import SourceError

LARGEST_BODY = 10 * 1024 * 1024  # bytes, unpacked; the crawl's own limit for a response

_GZIP = b"\x1f\x8b"
_NO_HTML = {
    b"%PDF": "a PDF file",
    b"\x89PNG": "an image",
    b"\xff\xd8\xff": "an image",
    b"GIF8": "an image",
    b"RIFF": "an image",
    b"PK\x03\x04": "a ZIP file",
}


def decode_html(body: bytes, content_type: str = "") -> str:
    """Return a page's text, by byte order mark, header, meta tag, and its bytes, in this order.

    Raises:
        SourceError: empty, too large, or visibly something else than a page.
    """
    if not body or body.isspace():
        raise SourceError("an empty page")
    if len(body) > LARGEST_BODY:
        raise SourceError(f"larger than {LARGEST_BODY >> 20} MB")
    for magic, what in _NO_HTML.items():
        if body.startswith(magic):
            raise SourceError(f"{what}, not a page")
    # a declaration that the bytes contradict is worse than none: UTF-8 does not happen by chance
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError:
        return str(html_to_unicode(content_type or None, body)[1])


def unpack_gzip(body: bytes) -> bytes:
    """Return `body` without its gzip wrapping, where it has one.

    A file that is cut gives what is there.

    Raises:
        SourceError: it is damaged, or unpacks to more than `LARGEST_BODY`.
    """
    if not body.startswith(_GZIP):
        return body
    unpacker = zlib.decompressobj(wbits=31)
    try:
        content = unpacker.decompress(body, LARGEST_BODY + 1)
    except zlib.error as error:
        raise SourceError(f"damaged gzip: {error}") from None
    if len(content) > LARGEST_BODY:
        raise SourceError(f"unpacks to more than {LARGEST_BODY >> 20} MB")
    return content
