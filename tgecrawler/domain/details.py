"""When, where and by which link: what a relevant record says of its event.

Each detail comes with the place that says it, as a ``Reason`` of weight 0.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tgecrawler.domain.claim_link import ClaimLink, find_claim_link, judge_link
from tgecrawler.domain.entities import Place, Places, find_chain, find_exchange
from tgecrawler.domain.event_date import CuedText, choose_event_date
from tgecrawler.items import Precision, Reason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime

    from tgecrawler.domain.matching import Found, Span
    from tgecrawler.domain.reading import Part, Reading
    from tgecrawler.items import Kind

DATE_CHARS = 2_000  # of a field, in which the event's date is looked for


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What is known of a record beside its texts.

    ``links`` are absolute addresses with the words they stand on; ``url`` is the
    record's own address; ``domains`` are the company's official ones.
    """

    published_at: datetime | None = None
    url: str = ""
    links: Sequence[tuple[str, str]] = ()
    domains: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Details:
    """The details of an event as an ``Assessment`` holds them, with their evidence."""

    event_date: str = ""
    event_date_precision: Precision | None = None
    chain: str = ""
    exchange: str = ""
    claim_url: str = ""
    claim_url_official: bool | None = None
    evidence: tuple[Reason, ...] = field(default=())


def find_details(
    reading: Reading, kind: Kind, project: str, around: Surroundings, places: Places
) -> Details:
    """Return what a record says of its event."""
    chosen = choose_event_date(
        [_cued(reading, part) for part in reading.parts], around.published_at
    )
    chain = _first_place(reading, lambda found, events: find_chain(found, events, places, project))
    exchange = _first_place(reading, lambda found, events: find_exchange(found, events, places))
    claim = (
        _claim_link(reading, around) if kind in ("airdrop", "token_sale", "token_launch") else None
    )
    verdict = judge_link(claim.url, around.domains) if claim else None
    evidence = [
        *_place_reason("chain", chain),
        *_place_reason("exchange", exchange),
        *_claim_reasons(claim, verdict.suspect if verdict else "", reading),
    ]
    if chosen is not None:
        dated = next(part for part in reading.parts if part.field == chosen.field)
        evidence.insert(0, _evidence("event_date", dated, chosen.date.start, chosen.date.end))
    return Details(
        event_date=chosen.date.value if chosen else "",
        event_date_precision=chosen.date.precision if chosen else None,
        chain=chain[1].text if chain else "",
        exchange=exchange[1].text if exchange else "",
        claim_url=claim.url if claim else "",
        claim_url_official=verdict.official if verdict else None,
        evidence=tuple(evidence),
    )


def _cued(reading: Reading, part: Part) -> CuedText:
    words = part.found.words
    cues = tuple(words.place(span) for span in reading.spans(part, "event"))
    return CuedText(part.field, words.text[:DATE_CHARS], cues)


def _first_place(
    reading: Reading, find: Callable[[Found, Sequence[Span]], Place | None]
) -> tuple[Part, Place] | None:
    """Return the place in the first field that names one."""
    for part in reading.parts:
        place = find(part.found, reading.spans(part, "event"))
        if place is not None:
            return part, place
    return None


def _claim_link(reading: Reading, around: Surroundings) -> ClaimLink | None:
    texts = [(part.field, part.found.words.text) for part in reading.parts]
    return find_claim_link(texts, around.links, around.domains, around.url)


def _place_reason(rule: str, found: tuple[Part, Place] | None) -> Iterator[Reason]:
    if found is not None:
        part, place = found
        yield _evidence(rule, part, place.start, place.end)


def _claim_reasons(claim: ClaimLink | None, suspect: str, reading: Reading) -> Iterator[Reason]:
    if claim is None:
        return
    rules = ("claim_url", *((f"claim_url_suspect: {suspect}",) if suspect else ()))
    part = next((part for part in reading.parts if part.field == claim.field), None)
    for rule in rules:
        if part is None:  # a link of the page stands in none of the fields
            yield Reason(rule=rule, weight=0.0, field=reading.parts[0].field)
        else:
            yield _evidence(rule, part, claim.start, claim.end)


def _evidence(rule: str, part: Part, start: int, end: int) -> Reason:
    text = part.found.words.text[start:end]
    return Reason(rule=rule, weight=0.0, field=part.field, start=start, end=end, text=text)
