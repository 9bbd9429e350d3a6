"""Bytes of the web as text: compression undone, and the encoding that they really have."""

from __future__ import annotations

import codecs
import re
import zlib

from w3lib.encoding import resolve_encoding

from tgecrawler.errors import SourceError

LONGEST_BODY_BYTES = 10 * 1024 * 1024  # the largest real feed seen has 2 MB

_MOST_WRAPPINGS = 2  # a gzip file, sent with gzip by a server that never looked
_ZLIB_HEADERS = (b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda")

_BOMS = (  # UTF-32 first: its little-endian mark begins with UTF-16's
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_DECLARED = re.compile(rb"""<\?xml[^>]{0,200}?encoding\s*=\s*["']([\w.:-]{1,40})["']""")
_CHARSET = re.compile(r"""charset\s*=\s*["']?([\w.:-]{1,40})""", re.IGNORECASE)
# Encodings of text that people publish in. Python knows others (punycode,
# unicode_escape, zlib) that decode in quadratic time or into something else.
_READABLE = re.compile(
    r"utf-8|cp(?:125\d|437|850|866|874|932|949|950)|iso8859-\d+|koi8-[rut]|gb18030|gbk|gb2312|"
    r"big5(?:hkscs)?|euc_(?:jp|kr)|shift_jis\w*|iso2022_\w+|mac-\w+|tis-620"
)
_STATEFUL = "iso2022_"  # seven-bit: valid UTF-8, and yet not UTF-8
_HIGH_RUN = re.compile(rb"[\x80-\xff]+")
# Mean length of runs of bytes above 127: Cyrillic words are such bytes throughout,
# Western words hold one now and then.
_CYRILLIC_RUN = 2.5
# what surrogateescape makes of a byte, read as Windows-1252
_STRAY_BYTES = {
    0xDC00 + byte: bytes([byte]).decode("cp1252", "replace") for byte in range(0x80, 0x100)
}


def inflate_body(body: bytes, *, longest_bytes: int = LONGEST_BODY_BYTES) -> bytes:
    """Return `body` without the gzip or zlib wrapping that it still wears.

    A wrapping cut short gives what had arrived.

    Raises:
        SourceError: it is, or unpacks to, more than `longest_bytes`.
    """
    for _ in range(_MOST_WRAPPINGS):
        if body[:3] != b"\x1f\x8b\x08" and body[:2] not in _ZLIB_HEADERS:
            break
        body = _inflate(body, longest_bytes)
    if len(body) > longest_bytes:
        raise SourceError(f"larger than {longest_bytes // 1024} KiB")
    return body


def _inflate(body: bytes, longest_bytes: int) -> bytes:
    unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)  # 32: gzip or zlib, by header
    try:
        unpacked = unpacker.decompress(body, longest_bytes + 1)
    except zlib.error as error:
        raise SourceError("compressed, and the compression is broken") from error
    return unpacked


def decode_body(body: bytes, *, content_type: str = "") -> tuple[str, bool]:
    """Return `body` as text, and whether it had to be read against what it says of itself.

    In this order: a byte order mark; UTF-16 told by its zeros; UTF-8 where the
    bytes are valid UTF-8, whatever is declared (no other text is so by chance);
    the XML declaration; the charset of `content_type`; a guess between Cyrillic
    and Western. Single bytes that break otherwise good UTF-8 are read as
    Windows-1252.
    """
    for mark, encoding in _BOMS:
        if body.startswith(mark):
            return _decode(body[len(mark) :], encoding), False
    wide = _wide_encoding(body)
    if wide:
        return _decode(body, wide), False
    declared = _declared_encodings(body, content_type)
    if not any(name.startswith(_STATEFUL) for name in declared):
        text = _decode_strict(body, "utf-8")
        if text is not None:
            return text, not (body.isascii() or not declared or "utf-8" in declared)
    for name in declared:
        text = None if name == "utf-8" else _decode_strict(body, name)
        if text is not None:
            return text, name != declared[0]
    return _guess(body, declared), True


def _declared_encodings(body: bytes, content_type: str) -> list[str]:
    """Return the known encodings that the document and then the server name."""
    match = _DECLARED.search(body[:1024])
    named = [match.group(1).decode("ascii")] if match else []
    charset = _CHARSET.search(content_type[:500])
    if charset:
        named.append(charset.group(1))
    found = [_codec_name(name) for name in named]
    return [name for name in found if name]


def _codec_name(label: str) -> str:
    """Return Python's name of an encoding of text, or "" for any other.

    Labels are read as browsers read them: iso-8859-1 and ascii are Windows-1252.
    """
    try:
        name = codecs.lookup(resolve_encoding(label) or label).name
    except (LookupError, ValueError):
        return ""
    return name if _READABLE.fullmatch(name) else ""


def _wide_encoding(body: bytes) -> str:
    """Return the UTF-16 that `body` is without saying so, or ""."""
    start = body[:64]
    if len(start) < 4:
        return ""
    if start[0::2].count(0) > len(start) // 3 and start[1]:
        return "utf-16-be"
    if start[1::2].count(0) > len(start) // 3 and start[0]:
        return "utf-16-le"
    return ""


def _decode(body: bytes, encoding: str) -> str:
    return codecs.getincrementaldecoder(encoding)("replace").decode(body)


def _decode_strict(body: bytes, encoding: str) -> str | None:
    """Return `body` decoded, without a character cut off at its end; None if it is not that."""
    try:
        return codecs.getincrementaldecoder(encoding)().decode(body)
    except ValueError:
        return None


def _guess(body: bytes, declared: list[str]) -> str:
    """Return the best reading of bytes that are nothing that they claim to be."""
    named = next((name for name in declared if name != "utf-8"), "")
    if named:
        return _decode(body, named)
    text = body.decode("utf-8", "surrogateescape")
    strays = sum("\udc80" <= char <= "\udcff" for char in text)
    if len(body) - len(text) >= strays:  # most of it is UTF-8
        return text.translate(_STRAY_BYTES)
    runs = _HIGH_RUN.findall(body)
    cyrillic = sum(map(len, runs)) > _CYRILLIC_RUN * len(runs)
    return body.decode("cp1251" if cyrillic else "cp1252", "replace")
