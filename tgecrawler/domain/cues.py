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
    from collections.abc import Iterable, Iterator, Sequence

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


Place = tuple["Part | None", "Span | None", "Span | None"]
"""A part, and the first and the last of the spans there that a cue is made of."""
_WHOLE: Place = (None, None, None)


def find_cues(reading: Reading, shaper: Shaper) -> list[Cue]:
    """Return the cues of a record, each name once, the same for the same record."""
    return [
        Cue(name, part, first and last and Span(first.start, last.end))
        for name, (part, first, last) in _find_places(reading, shaper).items()
    ]


def cue_names(reading: Reading, shaper: Shaper) -> Iterable[str]:
    """Return the names of a record's cues: all that a sum of weights asks for."""
    return _find_places(reading, shaper).keys()


def _find_places(reading: Reading, shaper: Shaper) -> dict[str, Place]:
    """Return the cues with their places; most are asked for by their names alone."""
    head, *rest = reading.parts
    found: dict[str, Place] = dict(_rules(reading))
    for name, place in _facts(reading):
        found.setdefault(name, place)
    title = shaper.shape(head.found, TITLE_WORDS)[:TITLE_SHAPES]
    start, end = Span(0, 0), Span(len(head.found.words), len(head.found.words))
    placed = [(head, shape) for shape in (Shape(BEGIN, start), *title, Shape(END, end))]
    for name, place in _grams(placed, "title: ", TITLE_GRAM):
        found.setdefault(name, place)
    for name, place in _grams(_body(rest, shaper), "body: ", BODY_GRAM):
        found.setdefault(name, place)
    return found


def _rules(reading: Reading) -> Iterator[tuple[str, Place]]:
    for hit in reading.hits:
        yield f"{hit.rule.name}@{hit.part.role}", (hit.part, hit.spans[0], hit.spans[0])


def _facts(reading: Reading) -> Iterator[tuple[str, Place]]:
    """Yield what is true of the record as a whole."""
    head = reading.parts[0]
    events, vetoes = reading.of("event", head), reading.of("veto", head)
    yield f"events={min(MOST_COUNTED, len(events))}", _WHOLE
    yield f"vetoes={min(MOST_COUNTED, len(vetoes))}", _WHOLE
    yield f"events*vetoes={min(2, len(events))}*{min(2, len(vetoes))}", _WHOLE
    anywhere = {hit.rule.name for hit in reading.of("event")}
    yield f"events_anywhere={min(MOST_COUNTED, len(anywhere))}", _WHOLE
    for one, other in (*product(events, vetoes), *combinations(events, 2)):
        yield f"{one.rule.name}*{other.rule.name}", (head, one.spans[0], one.spans[0])
    text = head.found.words.text[:1000]
    yield f"length={min(len(head.found.words) // 4, 8)}", _WHOLE
    for name, present in (
        ("question", "?" in text),
        ("question_ends", text.rstrip().endswith("?")),
        ("no_context", not (reading.of("context") or reading.of("crypto"))),
        ("post", reading.medium == "post"),
        ("dollar", "$" in text),
        ("cut", "..." in text or "…" in text),
    ):
        if present:
            yield name, _WHOLE


def _body(parts: Sequence[Part], shaper: Shaper) -> list[tuple[Part, Shape]]:
    placed: list[tuple[Part, Shape]] = []
    for part in parts:
        placed += [(part, shape) for shape in shaper.shape(part.found, BODY_WORDS)]
        end = len(part.found.words)
        placed.append((part, Shape(BREAK, Span(end, end))))
    return placed[:BODY_SHAPES]


def _grams(
    placed: Sequence[tuple[Part, Shape]], prefix: str, most: int
) -> Iterator[tuple[str, Place]]:
    for at, (part, shape) in enumerate(placed):
        name, span = prefix + shape.text, shape.span
        yield name, (part, span, span)
        for other, following in placed[at + 1 : at + most]:
            if other is not part:
                break
            name = f"{name} {following.text}"
            yield name, (part, span, following.span)
