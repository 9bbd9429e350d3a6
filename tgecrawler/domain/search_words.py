"""Words to be found by: the same on every engine, whatever its own idea of a word is."""

from __future__ import annotations

import re
import unicodedata

PREFIX_MARK = "*"

_WORD = re.compile(r"[^\W_]+")
_ASKED = re.compile(r"[^\W_]+\*?")


def search_words(*texts: str) -> str:
    """Return the words of some texts, each once: lower case, without accents or signs."""
    return " ".join(dict.fromkeys(_WORD.findall(_plain(" ".join(texts)))))


def asked_words(query: str) -> list[str]:
    """Return the words that a query asks for; one that ends in ``*`` stands for all it begins.

    Empty for a query without a letter or digit, which finds nothing.
    """
    return list(dict.fromkeys(_ASKED.findall(_plain(query))))


def _plain(text: str) -> str:
    folded = text.casefold()
    if folded.isascii():
        return folded
    decomposed = unicodedata.normalize("NFKD", folded)
    return "".join(one for one in decomposed if not unicodedata.combining(one))
