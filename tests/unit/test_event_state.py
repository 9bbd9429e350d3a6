"""What is known of an event."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tgecrawler.domain import event_state
from tgecrawler.domain.event_state import (
    MOST_STEPS,
    STRONG,
    TRUST,
    VERSION,
    Evidence,
    Step,
    Telling,
    event_key,
    summarise,
)
from tgecrawler.items import STATUSES

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
WEAK = 0.3


def told(day: float, status: str = "announced", **fields) -> Evidence:
    """A mention of a first-tier source of its own, certain unless ``score`` says otherwise."""
    values = {
        "id": f"m{day:g}",
        "source": f"source-{day:g}",
        "owner": f"owner-{day:g}",
        "tier": 1,
        "score": 1.0,
        "title": f"title {day:g}",
        "kind": "airdrop",
        "project": "Quillon",
    }
    return Evidence(told_at=START + timedelta(days=day), status=status, **(values | fields))


def copy(id_: str, day: float = 5, *, full: bool = True, tier: int = 1) -> Telling:
    at = START + timedelta(days=day)
    return Telling(id_, at, tier, full, f"title {id_}", f"u:{id_}")


def history(*evidence: Evidence) -> list[str]:
    return [step.status for step in summarise(evidence).history]


def test_ids_are_pinned():
    """Stored ids must not change under a database: a new rule takes a new version."""
    assert VERSION == "1"
    assert event_key("m1") == "11d71801ba1a5cc697445b7d8cc47d003"
    assert event_key("") == "1d9710af7a0cce5bbad55a8eee0b91f27"
    assert (
        hashlib.sha256(event_key("m1").encode()).hexdigest()
        == "fb105ad6778386e54875eaa5dda85237e00b83992f8d23ebeaa2a670e2259f2e"
    )


def test_one_mention():
    named = {"token": "QLN", "exchange": "Hexbay", "chain": "Velum", "companies": ("Quillon",)}
    one = told(0, **named, url="u:0", copies=(copy("a"), copy("b")))
    state = summarise([one])
    step = Step("announced", START, "source-0", "m0")
    assert (state.id, state.first_mention) == (event_key("m0"), "m0")
    assert (state.project, state.kind, state.token) == ("Quillon", "airdrop", "QLN")
    assert (state.exchange, state.chain, state.companies) == ("Hexbay", "Velum", ("Quillon",))
    assert (state.status, state.history) == ("announced", (step,))
    assert (state.shown_mention, state.title, state.url) == ("m0", "title 0", "u:0")
    assert (state.event_date, state.event_date_precision) == ("", None)
    assert (state.claim_url, state.claim_url_official) == ("", None)
    assert state.first_seen_at == state.last_seen_at == START
    assert (state.mentions, state.copies, state.owners, state.confidence) == (1, 2, 1, 0.9)


def test_first_last_and_counts():
    state = summarise(
        [
            told(2, copies=(copy("x"), copy("y"), copy("z"))),
            told(0, owner="a"),
            told(1, owner="a", copies=(copy("w"),), id="later"),
        ]
    )
    assert (state.first_mention, state.first_source) == ("m0", "source-0")
    assert (state.first_seen_at, state.last_seen_at) == (START, START + timedelta(days=2))
    assert (state.mentions, state.copies, state.owners) == (3, 4, 2)


def test_of_equal_times_the_smaller_id_is_first():
    state = summarise([told(0, id="b", source="x"), told(0, id="a", source="y")])
    assert (state.id, state.first_source) == (event_key("a"), "y")


@pytest.mark.parametrize(
    ("tier", "weight"), [(1, 0.9), (2, 0.8), (3, 0.7), (4, 0.6), (0, 0.6), (9, 0.6)]
)
def test_a_tier_lets_so_much_of_a_score_stand(tier, weight):
    assert told(0, tier=tier).weight == pytest.approx(weight)
    assert told(0, tier=tier, score=0.5).weight == pytest.approx(weight / 2)
    assert set(TRUST) == {1, 2, 3}


@pytest.mark.parametrize(
    ("mentions", "confidence"),
    [
        ([("a", 0.0)], 0.0),
        ([("a", 1.0)], 0.9),
        ([("a", 0.5), ("b", 0.5)], 1 - 0.55**2),
        ([("a", 1.0), ("b", 1.0), ("c", 1.0)], 1 - 0.1**3),
        ([("a", 0.5), ("a", 0.8), ("a", 0.2)], 0.72),  # an owner's strongest alone
        ([("a", 0.5), ("a", 0.8), ("b", 0.5)], 1 - 0.28 * 0.55),
        ([("a", 2.0), ("b", 0.1)], 1.0),
        ([("a", 1 / 3)], 0.3),
        ([("a", 0.12345)], 0.1111),
    ],
)
def test_confidence_is_that_not_all_owners_are_wrong(mentions, confidence):
    evidence = [told(at, owner=owner, score=score) for at, (owner, score) in enumerate(mentions)]
    assert summarise(evidence).confidence == pytest.approx(confidence, abs=5e-5)
    assert summarise(evidence).confidence == round(summarise(evidence).confidence, 4)


@pytest.mark.parametrize("field", ["project", "token", "exchange", "chain"])
def test_most_weight_wins_and_between_equals_the_first(field):
    def most(*values: tuple[str, float]) -> str:
        evidence = [
            told(at, **{field: name}, score=score) for at, (name, score) in enumerate(values)
        ]
        return getattr(summarise(evidence), field)

    assert most(("", 1.0)) == ""
    assert most(("", 1.0), ("", 1.0), ("Quillon", 0.1)) == "Quillon"
    assert most(("Quillon", 0.5), ("Marrow", 1.0)) == "Marrow"
    assert most(("Quillon", 0.6), ("Marrow", 1.0), ("Quillon", 0.6)) == "Quillon"
    assert most(("Quillon", 1.0), ("Marrow", 1.0)) == "Quillon"
    assert most(("Marrow", 1.0), ("Quillon", 1.0)) == "Marrow"
    # a sum of floats that comes out a trace above its equal does not win
    assert most(("Quillon", 0.25), ("Marrow", 0.05), ("Marrow", 0.2)) == "Quillon"


def test_kind_and_title_and_companies():
    state = summarise(
        [
            told(0, kind="listing", score=0.5, companies=("Quillon", "Velum")),
            told(1, kind="airdrop", companies=("Marrow", "Quillon")),
            told(2, kind="airdrop", title="as weighty, later"),
        ]
    )
    assert (state.kind, state.title) == ("airdrop", "title 1")
    assert state.companies == ("Quillon", "Velum", "Marrow")


@pytest.mark.parametrize(
    ("full", "copies", "shown"),
    [
        (True, [copy("a")], "m1"),
        (True, [copy("a", 0)], "a"),  # the original may be the better tier's, and later
        (False, [copy("a")], "a"),
        (False, [copy("a", full=False)], "m1"),
        (True, [copy("a", 0, full=False)], "m1"),
        (False, [copy("a", 6), copy("b", 5)], "b"),
        (False, [copy("a", tier=2), copy("b", tier=1)], "b"),
        (False, [copy("a", 6, tier=1), copy("b", 5, tier=2)], "b"),
        (False, [copy("b"), copy("a")], "a"),
        (True, [copy("a", 1, tier=2)], "m1"),
    ],
)
def test_the_text_to_show(full, copies, shown):
    one = told(1, full=full, copies=tuple(copies), title="title m1", url="u:m1")
    assert one.best_telling[-2:] == (f"title {shown}", f"u:{shown}")
    light = told(0, score=0.1, copies=(copy("light"),))
    state = summarise([light, one])
    assert (state.shown_mention, state.title) == (shown, f"title {shown}")
    assert (state.url, state.first_mention) == (f"u:{shown}", "m0")


@pytest.mark.parametrize(
    ("links", "expected"),
    [
        ([("", None, 1.0)], ("", None)),
        ([("", True, 1.0), ("u:a", None, 0.1)], ("u:a", None)),
        ([("u:a", None, 0.5), ("u:b", None, 1.0)], ("u:b", None)),
        ([("u:a", True, 0.1), ("u:b", False, 1.0)], ("u:a", True)),
        ([("u:a", None, 1.0), ("u:b", True, 0.1)], ("u:b", True)),
        ([("u:a", True, 0.5), ("u:b", True, 0.9)], ("u:b", True)),
        ([("u:a", False, 0.5), ("u:b", None, 0.9)], ("u:b", None)),
        ([("u:a", None, 0.5), ("u:b", None, 0.5)], ("u:a", None)),
    ],
)
def test_the_best_claim_link(links, expected):
    state = summarise(
        [
            told(at, claim_url=url, claim_url_official=official, score=score)
            for at, (url, official, score) in enumerate(links)
        ]
    )
    assert (state.claim_url, state.claim_url_official) == expected


def dated(day: float, date: str, status: str = "scheduled", **fields) -> Evidence:
    precision = {0: None, 7: "month", 10: "day"}.get(len(date), "minute")
    return told(day, status, event_date=date, event_date_precision=precision, **fields)


@pytest.mark.parametrize(
    ("evidence", "expected"),
    [
        ([told(0)], ("", None)),
        ([dated(0, "2026-05"), told(1)], ("2026-05", "month")),
        ([dated(0, "2026-05", score=0.5), dated(1, "2026-05-04")], ("2026-05-04", "day")),
        ([dated(0, "2026-05-04"), dated(1, "2026-05-05")], ("2026-05-04", "day")),
        ([dated(0, "2026-05-04"), told(1, "postponed")], ("", None)),
        ([dated(0, "2026-05-04"), dated(1, "2026-06", "postponed")], ("2026-06", "month")),
        (
            [dated(0, "2026-05-04"), told(1, "postponed"), dated(2, "2026-06-01")],
            ("2026-06-01", "day"),
        ),
        (  # the last postponement counts
            [told(0, "postponed"), dated(1, "2026-06"), told(2, "postponed")],
            ("", None),
        ),
        (  # told at the same moment: it stands
            [dated(0, "2026-06", id="a"), told(0, "postponed", id="b")],
            ("2026-06", "month"),
        ),
        ([dated(0, "2026-05-04"), told(1, "cancelled")], ("2026-05-04", "day")),
    ],
)
def test_the_date_and_how_a_postponement_voids_it(evidence, expected):
    state = summarise(evidence)
    assert (state.event_date, state.event_date_precision) == expected


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        (
            ["rumour", "announced", "scheduled", "live", "completed"],
            ["rumour", "announced", "scheduled", "live", "completed"],
        ),
        (["announced", "announced"], ["announced"]),
        (["rumour", "live"], ["rumour", "live"]),
        (["none", "rumour"], ["none", "rumour"]),
        (["scheduled", "postponed", "scheduled"], ["scheduled", "postponed", "scheduled"]),
        (["announced", "postponed", "live"], ["announced", "postponed", "live"]),
        (["scheduled", "cancelled"], ["scheduled", "cancelled"]),
        (["scheduled", "cancelled", "postponed"], ["scheduled", "cancelled", "postponed"]),
        (["cancelled", "announced"], ["cancelled", "announced"]),
        (["cancelled", "live"], ["cancelled", "live"]),
        (["postponed", "completed"], ["postponed", "completed"]),
        # two owners have said that it happened: no way back
        (["live", "live", "announced", "scheduled", "rumour"], ["live"]),
        (["live", "completed", "postponed", "cancelled"], ["live", "completed"]),
        (["live", "live", "none"], ["live"]),
    ],
)
def test_history_of_strong_mentions(statuses, expected):
    evidence = [told(10 * at, status) for at, status in enumerate(statuses)]
    assert history(*evidence) == expected
    assert summarise(evidence).status == expected[-1]


@pytest.mark.parametrize(
    ("before", "said", "now"),
    [
        ("rumour", "announced", "announced"),
        ("announced", "scheduled", "scheduled"),
        ("scheduled", "live", "live"),
        ("live", "completed", "completed"),
        ("scheduled", "postponed", "postponed"),
        ("scheduled", "cancelled", "cancelled"),
        ("cancelled", "postponed", "postponed"),
        ("postponed", "announced", "announced"),
        ("postponed", "scheduled", "scheduled"),
        ("cancelled", "announced", "announced"),
        ("cancelled", "completed", "completed"),
        # not by itself
        ("announced", "rumour", "announced"),
        ("scheduled", "announced", "scheduled"),
        ("postponed", "rumour", "postponed"),
        ("cancelled", "rumour", "cancelled"),
        ("live", "scheduled", "live"),
        # one owner that said it happened may have been wrong
        ("live", "postponed", "postponed"),
        ("live", "cancelled", "cancelled"),
        ("completed", "live", "completed"),
        ("announced", "none", "announced"),
    ],
)
def test_what_a_strong_mention_does_by_itself_against_a_fresh_stronger_one(before, said, now):
    assert summarise([told(0, before), told(0.01, said, score=0.6)]).status == now


def test_steps_say_when_and_by_whom():
    assert summarise([told(0, "rumour"), told(1, "rumour"), told(2, "live")]).history == (
        Step("rumour", START, "source-0", "m0"),
        Step("live", START + timedelta(days=2), "source-2", "m2"),
    )


def test_one_owner_saying_it_twice_confirms_nothing():
    live = [told(0, "live", owner="a"), told(1, "completed", owner="a")]
    assert history(*live, told(9, "announced")) == ["live", "completed", "announced"]
    assert history(*live, told(2, "live"), told(9, "announced"))[-1] != "announced"


@pytest.mark.parametrize(
    ("second", "expected"),
    [
        # weak words do not move it while what it was is fresh, and do once that is old
        (told(0.1, "live", score=WEAK), ["announced"]),
        (told(9, "live", score=WEAK), ["announced", "live"]),
        (told(0.1, "postponed", score=WEAK), ["announced"]),
        (told(0.1, "live", score=STRONG / 0.9), ["announced", "live"]),
        (told(0.1, "live", score=STRONG / 0.9 - 0.01), ["announced"]),
        # back it goes by the weight of what was said lately
        (told(0.1, "rumour", score=0.9), ["announced"]),
        (told(9, "rumour", score=0.9), ["announced", "rumour"]),
    ],
)
def test_what_was_said_lately(second, expected):
    assert history(told(0), second) == expected


def test_words_lose_half_their_weight_in_a_half_life():
    at = 1  # day
    assert history(told(0), told(at, "rumour", score=0.49)) == ["announced"]
    assert history(told(0), told(at, "rumour", score=0.51)) == ["announced", "rumour"]
    # of equal weights the later stage
    assert history(told(0), told(at, "rumour", score=0.5)) == ["announced"]


def test_an_owner_speaks_once_for_a_status():
    weak = [told(1 + at / 100, "rumour", score=0.2, owner="a") for at in range(9)]
    many = [told(1 + at / 100, "rumour", score=0.2) for at in range(9)]
    assert history(told(0), *weak) == ["announced"]
    assert history(told(0), *many) == ["announced", "rumour"]


@pytest.mark.parametrize("status", ["live", "completed"])
@pytest.mark.parametrize(
    ("date", "said"),
    [
        ("2026-03-20", "scheduled"),
        ("2026-03-20T10:00", "scheduled"),
        ("2026-03-04", "scheduled"),
        ("2026-03-03", None),  # tomorrow there may be today here
        ("2026-03-02", None),
        ("2026-02-02", None),
        ("2026-05", None),  # no day
        ("", None),
    ],
)
def test_live_with_its_day_ahead_is_scheduled(status, date, said):
    evidence = [told(0), dated(1, date, status)]
    assert history(*evidence) == ["announced", said or status]


@pytest.mark.parametrize("status", ["announced", "rumour", "cancelled", "none"])
def test_a_day_ahead_says_nothing_of_another_status(status):
    assert history(dated(0, "2026-03-20", status)) == [status]


def test_what_is_ahead_confirms_nothing():
    evidence = [told(0, "live"), dated(1, "2026-03-20", "live"), told(9, "announced")]
    assert history(*evidence)[-1] == "announced"


def test_the_last_steps_are_kept(monkeypatch):
    statuses = ("scheduled", "postponed")
    evidence = [told(at, statuses[at % 2]) for at in range(MOST_STEPS + 3)]
    kept = summarise(evidence).history
    assert len(kept) == MOST_STEPS
    assert kept[0].mention_id == "m3"
    monkeypatch.setattr(event_state, "MOST_STEPS", 2)
    assert [step.mention_id for step in summarise(evidence).history] == ["m51", "m52"]


names = st.sampled_from(["", "Quillon", "Marrow"])
evidence_lists = st.lists(
    st.builds(
        Evidence,
        id=st.text("abcdef", min_size=1, max_size=4),
        told_at=st.sampled_from([0, 0.1, 1, 3]).map(lambda day: START + timedelta(days=day)),
        source=st.just("s"),
        owner=st.sampled_from(["a", "b", "c", "d"]),
        tier=st.integers(1, 4),
        score=st.floats(0, 1),
        title=names,
        kind=st.sampled_from(["airdrop", "listing"]),
        status=st.sampled_from(STATUSES),
        project=names,
        token=names,
        event_date=st.sampled_from(["", "2026-03-02", "2026-05-01"]),
        event_date_precision=st.just("day"),
        claim_url=names,
        claim_url_official=st.sampled_from([None, True, False]),
        companies=st.lists(names).map(tuple),
        copies=st.lists(st.sampled_from([copy("x"), copy("y", 0, full=False)])).map(tuple),
        full=st.booleans(),
    ),
    min_size=1,
    max_size=12,
    unique_by=lambda one: one.id,
)


@settings(deadline=None)
@given(evidence_lists, st.randoms(use_true_random=False))
def test_any_order_gives_the_same_state(evidence, random):
    state = summarise(evidence)
    shuffled = list(evidence)
    random.shuffle(shuffled)
    assert summarise(shuffled) == state
    assert 0 <= state.confidence <= 1
    assert state.history[-1].status == state.status
    assert [step.at for step in state.history] == sorted(step.at for step in state.history)
    steps = [step.status for step in state.history]
    assert all(now != following for now, following in pairwise(steps))


def test_what_is_not_said_changes_nothing():
    state = summarise(
        [told(0, status="announced"), told(10, status="none", kind="none", score=1.0)]
    )
    assert (state.status, state.kind) == ("announced", "airdrop")


def test_a_weak_word_does_not_take_back_what_happened():
    state = summarise([told(0, status="live"), told(10, status="postponed", score=0.3)])
    assert [step.status for step in state.history] == ["live"]


def test_live_with_its_day_ahead_is_scheduled_from_the_first():
    state = summarise([told(0, status="live", event_date="2030-01-01", event_date_precision="day")])
    assert [step.status for step in state.history] == ["scheduled"]
