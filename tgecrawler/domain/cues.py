"""What a record shows, as named cues that a weight can stand on.

Three sorts of cue, each with the place where it was found:

    listed_on@title          a rule of the lexicon, and as what its field is weighed
    vetoes=2, question       a fact about the whole record
    title: <exchange> lists  up to three neighbouring shapes (see ``shapes``) of the
    body: will be            headline, up to two of what follows it
"""

from __future__ import annotations

from itertools import combinations, product
from typing import TYPE_CHECKING, NamedTuple

from tgecrawler.domain.matching import Span
from tgecrawler.domain.shapes import BREAK, Shape

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tgecrawler.domain.reading import Part, Reading
    from tgecrawler.domain.shapes import Shaper

TITLE_SHAPES = 40
TITLE_WORDS = 60
BODY_SHAPES = 70  # of summary and text together
BODY_WORDS = 90  # of each
TITLE_GRAM = 3
BODY_GRAM = 2
BEGIN, END = "^", "$"
MOST_COUNTED = 3


class Cue(NamedTuple):
    """A cue and its first place; one about the whole record has none."""

    name: str
    part: Part | None = None
    span: Span | None = None


def find_cues(reading: Reading, shaper: Shaper) -> list[Cue]:
    """Return the cues of a record, each name once, the same for the same record."""
    head, *rest = reading.parts
    found = {cue.name: cue for cue in _rules(reading)}
    for cue in _facts(reading):
        found.setdefault(cue.name, cue)
    title = shaper.shape(head.found, TITLE_WORDS)[:TITLE_SHAPES]
    start, end = Span(0, 0), Span(len(head.found.words), len(head.found.words))
    placed = [(head, shape) for shape in (Shape(BEGIN, start), *title, Shape(END, end))]
    for cue in _grams(placed, "title: ", TITLE_GRAM):
        found.setdefault(cue.name, cue)
    for cue in _grams(_body(rest, shaper), "body: ", BODY_GRAM):
        found.setdefault(cue.name, cue)
    return list(found.values())


def _rules(reading: Reading) -> Iterator[Cue]:
    for hit in reading.hits:
        yield Cue(f"{hit.rule.name}@{hit.part.role}", hit.part, hit.spans[0])


def _facts(reading: Reading) -> Iterator[Cue]:
    """Yield what is true of the record as a whole."""
    head = reading.parts[0]
    events, vetoes = reading.of("event", head), reading.of("veto", head)
    yield Cue(f"events={min(MOST_COUNTED, len(events))}")
    yield Cue(f"vetoes={min(MOST_COUNTED, len(vetoes))}")
    yield Cue(f"events*vetoes={min(2, len(events))}*{min(2, len(vetoes))}")
    anywhere = {hit.rule.name for hit in reading.of("event")}
    yield Cue(f"events_anywhere={min(MOST_COUNTED, len(anywhere))}")
    for one, other in (*product(events, vetoes), *combinations(events, 2)):
        yield Cue(f"{one.rule.name}*{other.rule.name}", head, one.spans[0])
    text = head.found.words.text[:1000]
    yield Cue(f"length={min(len(head.found.words) // 4, 8)}")
    for name, present in (
        ("question", "?" in text),
        ("question_ends", text.rstrip().endswith("?")),
        ("no_context", not (reading.of("context") or reading.of("crypto"))),
        ("post", reading.medium == "post"),
        ("dollar", "$" in text),
        ("cut", "..." in text or "…" in text),
    ):
        if present:
            yield Cue(name)


def _body(parts: Sequence[Part], shaper: Shaper) -> list[tuple[Part, Shape]]:
    placed: list[tuple[Part, Shape]] = []
    for part in parts:
        placed += [(part, shape) for shape in shaper.shape(part.found, BODY_WORDS)]
        end = len(part.found.words)
        placed.append((part, Shape(BREAK, Span(end, end))))
    return placed[:BODY_SHAPES]


def _grams(placed: Sequence[tuple[Part, Shape]], prefix: str, most: int) -> Iterator[Cue]:
    for at, (part, shape) in enumerate(placed):
        name = prefix + shape.text
        yield Cue(name, part, shape.span)
        for other, following in placed[at + 1 : at + most]:
            if other is not part:
                break
            name = f"{name} {following.text}"
            yield Cue(name, part, Span(shape.span.start, following.span.end))
