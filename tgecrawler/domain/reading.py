"""A record's fields with everything that a lexicon and a watchlist find in them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tgecrawler.domain.matching import Vocabulary

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tgecrawler.domain.lexicon import Lexicon, NameSet, Role, Rule
    from tgecrawler.domain.matching import Found, Span
    from tgecrawler.items import Medium, TextField

SHAPED_SETS: tuple[NameSet, ...] = ("exchanges", "organisations", "established")
MAX_TITLE_CHARS = 1_000
MAX_SUMMARY_CHARS = 3_000
MAX_TEXT_CHARS = 2_000  # of an article: what it is about stands in its first paragraphs
MAX_POST_CHARS = 1_000  # of a post, or of what stands in for a missing title


@dataclass(frozen=True, slots=True)
class Part:
    """One field of a record; ``role`` says as what it is weighed (a post's text: a title)."""

    field: TextField
    role: TextField
    found: Found


@dataclass(frozen=True, slots=True)
class Hit:
    """A rule and where it matches in one part; at least one span."""

    rule: Rule
    part: Part
    spans: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class Reading:
    """A record with everything found in it; ``parts[0]`` is the headline."""

    parts: tuple[Part, ...]
    hits: tuple[Hit, ...]
    medium: Medium

    def of(self, role: Role, part: Part | None = None) -> list[Hit]:
        """Return the hits of a rule role, in one part or in all."""
        return [h for h in self.hits if h.rule.role == role and (part is None or h.part is part)]

    def spans(self, part: Part, *roles: Role) -> list[Span]:
        """Return where rules of some roles match in a part."""
        return [
            span
            for hit in self.hits
            if hit.part is part and hit.rule.role in roles
            for span in hit.spans
        ]


class Reader:
    """Reads records: a lexicon and the watchlist's names, compiled once."""

    def __init__(self, lexicon: Lexicon, names: Mapping[str, Sequence[str]]) -> None:
        self._rules = {rule.name: rule for rule in lexicon.rules}
        self._order = {name: at for at, name in enumerate(self._rules)}
        shaped: dict[str, Sequence[str]] = {
            name: lexicon.names.get(name, ()) for name in SHAPED_SETS
        }
        self._vocabulary = Vocabulary(
            {rule.name: rule.phrases for rule in lexicon.rules},
            {**shaped, **lexicon.used_sets()},
            names,
        )

    def read(self, title: str, summary: str, text: str, medium: Medium) -> Reading:
        """Return the parts of a record and every rule that matches in them."""
        parts = tuple(self._parts(title, summary, text, medium))
        hits = tuple(hit for part in parts for hit in self._hits(part))
        return Reading(parts, hits, medium)

    def _parts(self, title: str, summary: str, text: str, medium: Medium) -> Iterator[Part]:
        given: dict[TextField, str] = {"title": title, "summary": summary, "text": text}
        filled: list[TextField] = [field for field in given if given[field].strip()] or ["title"]
        # A post's title, where a source gives one, is the beginning of its text.
        head: TextField = "text" if medium == "post" and "text" in filled else filled[0]
        limit = MAX_TITLE_CHARS if head == "title" else MAX_POST_CHARS
        yield Part(head, "title", self._vocabulary.find(given[head], limit))
        limits: dict[TextField, int] = {"summary": MAX_SUMMARY_CHARS, "text": MAX_TEXT_CHARS}
        for field, most in limits.items():
            if field in filled and field != head:
                yield Part(field, field, self._vocabulary.find(given[field], most))

    def _hits(self, part: Part) -> Iterator[Hit]:
        """Yield the hits in a part, in the order of the lexicon's rules."""
        found = part.found.rules
        for name in sorted(found, key=self._order.__getitem__):
            rule = self._rules[name]
            if found[name] and rule.fields.of(part.role):
                yield Hit(rule, part, tuple(found[name]))
