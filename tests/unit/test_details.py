"""When, where and by which link a record's event takes place, each with its evidence."""

from __future__ import annotations

from datetime import UTC, datetime
from time import perf_counter
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tgecrawler.domain.details import DATE_CHARS, Details, Surroundings, find_details
from tgecrawler.domain.entities import Places
from tgecrawler.domain.lexicon import Lexicon
from tgecrawler.domain.reading import Reader
from tgecrawler.items import KINDS, Reason

if TYPE_CHECKING:
    from tgecrawler.items import Kind, Medium

LEXICON = Lexicon.model_validate(
    {
        "version": 1,
        "names": {
            "exchanges": ["Acme", "Borealis"],
            "chains": ["Zemblor", "Tavrik"],
        },
        "rules": [
            {"name": "drop", "role": "event", "phrases": ["airdrop", "launches", "listed"]},
            {"name": "hack", "role": "veto", "phrases": ["hack"]},
        ],
    }
)
READER = Reader(LEXICON, {})
PLACES = Places.of(LEXICON.all_sets())
PUBLISHED_AT = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
AROUND = Surroundings(published_at=PUBLISHED_AT, url="https://news.example/story")


def details(
    title: str,
    summary: str = "",
    text: str = "",
    *,
    medium: Medium = "article",
    kind: Kind = "airdrop",
    project: str = "Quillon",
    around: Surroundings = AROUND,
) -> Details:
    reading = READER.read(title, summary, text, medium)
    found = find_details(reading, kind, project, around, PLACES)
    given = {"title": title, "summary": summary, "text": text}
    for reason in found.evidence:
        assert reason.weight == 0.0
        assert reason.text == given[reason.field][reason.start : reason.end]
    return found


def evidence(found: Details) -> list[tuple[str, str, str]]:
    return [(reason.rule, reason.field, reason.text) for reason in found.evidence]


def test_a_record_that_says_everything() -> None:
    found = details(
        "Quillon airdrop opens on 14 March 2026 at last",
        "Quillon launches on Zemblor and is listed on Acme.",
        "Claim at https://quillon.example/claim now.",
    )
    assert (found.event_date, found.event_date_precision) == ("2026-03-14", "day")
    assert (found.chain, found.exchange) == ("Zemblor", "Acme")
    assert found.claim_url == "https://quillon.example/claim"
    assert found.claim_url_official is None
    assert evidence(found) == [
        ("event_date", "title", "14 March 2026"),
        ("chain", "summary", "Zemblor"),
        ("exchange", "summary", "Acme"),
        ("claim_url", "text", "https://quillon.example/claim"),
    ]


def test_a_record_that_says_nothing() -> None:
    assert details("Quillon airdrop opens") == Details()
    assert details("") == Details()


def test_a_day_is_counted_from_the_publication() -> None:
    assert details("Quillon airdrop opens tomorrow").event_date == "2026-03-05"
    assert details("Quillon airdrop opens tomorrow", around=Surroundings()).event_date == ""


def test_the_date_beside_the_event_is_the_events() -> None:
    found = details("The fair is on 3 March 2026. The Quillon airdrop is on 9 April 2026")
    assert evidence(found) == [("event_date", "title", "9 April 2026")]
    found = details("Quillon fair on 3 March 2026", "The airdrop is on 9 April 2026")
    assert evidence(found) == [("event_date", "summary", "9 April 2026")]


def test_a_veto_is_no_event_that_a_date_could_be_near() -> None:
    found = details("A hack on 3 March 2026.\nQuillon airdrop on 9 April 2026")
    assert found.event_date == "2026-04-09"


def test_dates_far_down_are_not_looked_for() -> None:
    summary = "x " * (DATE_CHARS // 2) + "The airdrop is on 9 April 2026"
    assert details("Quillon", summary).event_date == ""
    assert details("Quillon", summary[200:]).event_date == "2026-04-09"


def test_the_first_field_that_names_a_place_decides() -> None:
    found = details("Quillon airdrop on Tavrik", "It launches on Zemblor", "It launches on Zemblor")
    assert evidence(found) == [("chain", "title", "Tavrik")]
    found = details("Quillon airdrop", "It is listed on Acme", "It is listed on Borealis")
    assert evidence(found) == [("exchange", "summary", "Acme")]


def test_the_place_beside_the_event_is_the_events() -> None:
    found = details("Varro is on Zemblor. Quillon airdrop on Tavrik")
    assert found.chain == "Tavrik"


def test_the_project_is_not_its_own_place() -> None:
    assert details("The airdrop on Zemblor", project="Quillon").chain == "Zemblor"
    assert details("The airdrop on Zemblor", project="Zemblor").chain == ""


@pytest.mark.parametrize("kind", KINDS)
def test_only_what_can_be_claimed_has_a_claim_link(kind: Kind) -> None:
    found = details("Claim at https://quillon.example/claim", kind=kind)
    claimed = kind in ("airdrop", "token_sale", "token_launch")
    assert bool(found.claim_url) is claimed
    assert bool(found.evidence) is claimed


@pytest.mark.parametrize(
    ("domains", "official"), [((), None), (("quillon.example",), True), (("varro.example",), False)]
)
def test_a_claim_link_is_judged_by_the_companys_domains(
    domains: tuple[str, ...], official: bool | None
) -> None:
    found = details("Claim at https://claim.quillon.example", around=Surroundings(domains=domains))
    assert found.claim_url == "https://claim.quillon.example"
    assert found.claim_url_official is official
    assert [reason.rule for reason in found.evidence] == ["claim_url"]


def test_a_link_that_only_looks_official_is_said_to() -> None:
    around = Surroundings(domains=("quillon.xyz",))
    found = details("Quillon airdrop", "Claim at https://quillon-claim.xyz", around=around)
    assert found.claim_url_official is False
    first, second = found.evidence
    assert first.rule == "claim_url"
    assert second.rule.startswith("claim_url_suspect: ")
    assert len(second.rule) > len("claim_url_suspect: ")
    assert (first.start, first.end) == (second.start, second.end) == (9, 34)


def test_a_link_of_the_page_stands_in_none_of_the_fields() -> None:
    links = [("https://quillon.example/x", "Docs"), ("https://quillon.example/y", "Claim")]
    around = Surroundings(url="https://news.example/story", links=links)
    found = details("", "Quillon airdrop", around=around)
    assert found.claim_url == "https://quillon.example/y"
    assert found.evidence == (Reason(rule="claim_url", weight=0.0, field="summary"),)


def test_a_link_to_the_records_own_site_is_no_claim_link() -> None:
    links = [("https://news.example/claim", "Claim")]
    assert details("Quillon airdrop", around=Surroundings(links=links)).claim_url != ""
    own = Surroundings(url="https://news.example/story", links=links)
    assert details("Quillon airdrop", around=own).claim_url == ""


def test_a_post_is_read_in_its_text() -> None:
    found = details(
        "Quillon airdrop",
        "",
        "Quillon airdrop on Zemblor, 9 April 2026: claim at https://quillon.example",
        medium="post",
    )
    assert [(rule, field) for rule, field, _ in evidence(found)] == [
        ("event_date", "text"),
        ("chain", "text"),
        ("claim_url", "text"),
    ]


@pytest.mark.parametrize(
    ("text", "chain"),
    [
        ("\u202eQuillon\u202c 🚀🚀 airdrop 領取 on Zemblor", "Zemblor"),
        ("Квиллон airdrop on Zem\u200bblor", "Zem\u200bblor"),
        ("İİİ airdrop on Zemblor", "Zemblor"),
    ],
)
def test_evidence_in_other_alphabets(text: str, chain: str) -> None:
    assert evidence(details(text)) == [("chain", "title", chain)]


PIECES = st.sampled_from(
    [
        *("Quillon", "airdrop", "launches", "listed on", "Acme", "on", "Zemblor", "-based", "hack"),
        *("14 March 2026", "tomorrow", "in 3 days", "10:00 UTC", "Q3 2026", "2026-13-45", "Friday"),
        *("claim at", "https://quillon.example/c", "quillon.xyz", "@", "İ", "ß", "ﬁ", "領", "🚀"),
        *(".", "\n", "'s", "\u200b", "\u202e", "\u0301", " ", " ", " ", " "),
    ]
)
ANY = st.text(max_size=50) | st.lists(PIECES, max_size=20).map("".join)
MOMENTS = st.datetimes(timezones=st.just(UTC)) | st.none()


@settings(deadline=None, max_examples=200)
@given(ANY, ANY, ANY, st.sampled_from(["article", "post"]), st.sampled_from(KINDS), MOMENTS, ANY)
def test_any_record_has_evidence_where_it_says(
    title: str,
    summary: str,
    text: str,
    medium: Medium,
    kind: Kind,
    published_at: datetime | None,
    other: str,
) -> None:
    around = Surroundings(
        published_at=published_at, url=other, links=[(other, text)], domains=[other]
    )
    found = details(title, summary, text, medium=medium, kind=kind, project=other, around=around)
    rules = [reason.rule for reason in found.evidence]
    assert ("event_date" in rules) is bool(found.event_date)
    assert (found.event_date_precision is not None) is bool(found.event_date)
    assert ("chain" in rules) is bool(found.chain)
    assert ("exchange" in rules) is bool(found.exchange)
    assert ("claim_url" in rules) is bool(found.claim_url)
    assert found.claim_url or found.claim_url_official is None


@pytest.mark.parametrize(
    "piece",
    ["a", "1", "on Zemblor ", "14 March 2026 ", "https://a.example ", "claim ", ".", "領", "\n"],
)
def test_time_is_bounded(piece: str) -> None:
    text = piece * (1_000_000 // len(piece))
    started_at = perf_counter()
    details(text, text, text, around=Surroundings(links=[("https://b.example", text)] * 50))
    assert perf_counter() - started_at < 1  # it takes 20 ms
