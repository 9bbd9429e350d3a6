"""What other rules would change, over invented texts and lexicons of a few words."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from tgecrawler.domain.backtest import (
    HELD_BACK,
    MOST_CUES,
    Change,
    Comparison,
    CueChange,
    Side,
    Text,
    compare,
    text_of,
)
from tgecrawler.domain.lexicon import Lexicon
from tgecrawler.domain.metrics import LabelledRecord, assess_record, evaluate
from tgecrawler.domain.relevance import Assessor
from tgecrawler.domain.watchlist import Watchlist
from tgecrawler.items import Assessment, Reason

WATCHLIST = Watchlist.model_validate(
    {
        "version": 1,
        "companies": [{"name": "Tidepool", "priority": "high", "status": "pre_token"}],
    }
)
AIRDROP = Text(title="Tidepool opens its airdrop", url="https://desk.example/airdrop")
LISTING = Text(title="Tidepool wins a listing", url="https://desk.example/listing")
OTHER = Text(title="Tidepool hires a cook", url="https://desk.example/cook")


def rules(**weights: float) -> Assessor:
    """Return rules that know an airdrop and a listing, and what each of them counts for."""
    weighed = {"airdrop": 4.0, "listing": 4.0, "prior": -2.0, **weights}
    lexicon = {
        "version": 1,
        "prior": weighed["prior"],
        "screening": {"min_log_odds": weighed.get("screen", -20)},
        "rules": [
            {
                "name": name,
                "role": "event",
                "kind": name,
                "weight": weighed[name],
                "fields": {"text": 0.1},
                "phrases": [name],
            }
            for name in ("airdrop", "listing")
        ],
    }
    return Assessor(
        WATCHLIST,
        Lexicon.model_validate(lexicon),
        min_score=0.5,
        discovery=False,
    )


def labelled(text: Text, tge: bool, **fields: Any) -> Text:
    return text_of(LabelledRecord(id=text.title, title=text.title, tge=tge, **fields))


def assessment(score: float = 0.5, *, relevant: bool = False, **weights: float) -> Assessment:
    reasons = tuple(Reason(rule=rule, weight=w, field="title") for rule, w in weights.items())
    return Assessment(score=score, relevant=relevant, reasons=reasons)


def titles(changes: tuple[Change, ...]) -> list[str]:
    return [change.text.title for change in changes]


def test_an_alert_is_gained_and_another_lost() -> None:
    texts = (text for text in (AIRDROP, LISTING, OTHER))  # a generator: read once
    found = compare(texts, rules(listing=1), rules(airdrop=1))
    assert found.texts == 3
    assert titles(found.gained) == [LISTING.title]
    assert titles(found.lost) == [AIRDROP.title]
    assert (found.before.alerts, found.after.alerts) == (1, 1)
    assert found.changed


def test_one_alert_is_a_change() -> None:
    assert compare([AIRDROP], rules(airdrop=1), rules()).changed
    assert compare([AIRDROP], rules(), rules(airdrop=1)).changed


def test_the_same_rules_change_nothing() -> None:
    found = compare([AIRDROP, LISTING, OTHER], rules(), rules())
    assert (found.gained, found.lost, found.changed) == ((), (), False)
    assert (found.before.alerts, found.after.alerts) == (2, 2)
    assert found.before == found.after
    assert found.before.rules_version == rules().rules_version


def test_an_alert_judged_otherwise_in_score_alone_is_no_change() -> None:
    found = compare([AIRDROP], rules(), rules(airdrop=5))
    assert not found.changed
    assert found.before.rules_version != found.after.rules_version


def test_no_texts() -> None:
    found = compare([], rules(), rules(airdrop=1))
    assert (found.texts, found.before.alerts, found.before.report) == (0, 0, None)


def test_what_is_shown_of_a_lost_alert() -> None:
    (lost,) = compare([AIRDROP], rules(), rules(airdrop=1)).lost
    assert lost.as_dict() == {
        "title": "Tidepool opens its airdrop",
        "url": "https://desk.example/airdrop",
        "kind": "airdrop",
        "score_before": pytest.approx(1 / (1 + math.exp(-2))),
        "score_after": pytest.approx(1 / (1 + math.exp(1))),
        "right": None,
        "missing": ["score 0.27 below 0.50"],
        "cues": [{"cue": "airdrop@title", "before": 4.0, "after": 1.0}],
    }


def test_what_is_shown_of_a_gained_alert() -> None:
    (gained,) = compare([LISTING], rules(listing=1), rules()).gained
    shown = gained.as_dict()
    assert shown["kind"] == "listing"
    assert shown["score_before"] < 0.5 < shown["score_after"]
    assert shown["missing"] == ["score 0.27 below 0.50"]
    assert shown["cues"] == [{"cue": "listing@title", "before": 1.0, "after": 4.0}]


def test_a_new_watchlist_is_compared_as_well() -> None:
    nobody = Assessor(
        Watchlist(version=1, companies=()), rules().lexicon, min_score=0.5, discovery=False
    )
    (lost,) = compare([AIRDROP], rules(), nobody).lost
    assert lost.cues() == ()
    assert lost.missing == ("no watchlist company is its subject",)


def test_the_largest_change_of_score_comes_first() -> None:
    both = replace(AIRDROP, title="Tidepool: airdrop, then a listing")
    found = compare([LISTING, both, AIRDROP], rules(), rules(airdrop=-4, listing=1))
    assert titles(found.lost) == [both.title, AIRDROP.title, LISTING.title]


def test_of_equal_changes_the_order_does_not_depend_on_the_archive() -> None:
    twins = [replace(AIRDROP, url=f"https://desk.example/{name}") for name in "ba"]
    found = compare(twins, rules(), rules(airdrop=1))
    assert [change.text.url[-1] for change in found.lost] == ["a", "b"]


def test_the_cues_that_changed_most_come_first() -> None:
    change = Change(
        text=AIRDROP,
        before=assessment(same=1.0, less=2.0, gone=-3.0),
        after=assessment(same=1.0, less=1.5, new_too=-0.7, new=0.7),
    )
    assert change.cues() == (
        CueChange("gone", -3.0, 0.0),
        CueChange("new", 0.0, 0.7),
        CueChange("new_too", 0.0, -0.7),
        CueChange("less", 2.0, 1.5),
    )


def test_reasons_of_one_cue_are_summed_up() -> None:
    twice = tuple(Reason(rule="again", weight=w, field="text") for w in (1.0, 0.5))
    before = replace(assessment(), reasons=twice)
    change = Change(text=AIRDROP, before=before, after=assessment())
    assert change.cues() == (CueChange("again", 1.5, 0.0),)


def test_no_more_cues_than_can_be_read() -> None:
    many = {f"cue_{number}": float(number) for number in range(1, 20)}
    change = Change(text=AIRDROP, before=assessment(), after=assessment(**many))
    assert [cue.after for cue in change.cues()] == [19.0, 18.0, 17.0, 16.0, 15.0]
    assert len(change.cues()) == MOST_CUES


@pytest.mark.parametrize(
    ("tge", "after", "right"),
    [(True, True, True), (False, True, False), (True, False, False), (False, False, True)],
)
def test_a_change_is_right_where_the_new_rules_agree_with_the_label(
    tge: bool, after: bool, right: bool
) -> None:
    change = Change(
        text=labelled(AIRDROP, tge),
        before=assessment(relevant=not after),
        after=assessment(relevant=after),
    )
    assert change.gained is after
    assert change.right is right
    assert change.as_dict()["right"] is right


def test_the_figures_are_those_of_evaluate() -> None:
    texts = [labelled(AIRDROP, True, kind="airdrop"), labelled(LISTING, False, sure=False)]
    texts.append(labelled(OTHER, True))
    before, after = rules(), rules(listing=1)
    found = compare(texts, before, after)
    for side, assessor in ((found.before, before), (found.after, after)):
        records = [text.label for text in texts if text.label]
        pairs = [(record, assess_record(assessor, record)) for record in records]
        assert side.report == evaluate(pairs)
        assert side.as_dict() == {
            "rules_version": assessor.rules_version,
            "alerts": sum(answer.relevant for _, answer in pairs),
            **evaluate(pairs).as_dict(),
        }
    assert found.before.report != found.after.report


def test_a_labelled_record_is_judged_with_all_that_it_says() -> None:
    record = LabelledRecord(
        id="1",
        medium="post",
        url="https://x.example/1",
        published="2026-10-12T08:00:00Z",
        title="a",
        summary="b",
        text="c",
        tge=True,
    )
    assert text_of(record) == Text(
        title="a",
        summary="b",
        text="c",
        medium="post",
        url="https://x.example/1",
        published_at=datetime(2026, 10, 12, 8, tzinfo=UTC),
        label=record,
    )


def test_f1_falls_and_rises() -> None:
    texts = [labelled(AIRDROP, True), labelled(LISTING, True)]
    worse = compare(texts, rules(), rules(airdrop=1))
    assert worse.f1_change == pytest.approx(2 / 3 - 1)
    assert compare(texts, rules(airdrop=1), rules()).f1_change == pytest.approx(1 / 3)


def test_f1_stays_where_as_many_are_won_as_lost() -> None:
    texts = [labelled(AIRDROP, True), labelled(LISTING, True)]
    found = compare(texts, rules(airdrop=1), rules(listing=1))
    assert found.changed
    assert found.f1_change == 0.0


@pytest.mark.parametrize(("fall", "change"), [(1e-10, 0.0), (1e-6, pytest.approx(-1e-6))])
def test_rounding_is_no_fall(fall: float, change: float) -> None:
    report = evaluate([(LabelledRecord(id="1", title="t", tge=True), assessment(relevant=True))])
    before = Side(rules_version="a", alerts=1, report=report)
    after = Side(rules_version="b", alerts=1, report=replace(report, f1=report.f1 - fall))
    assert Comparison(texts=1, before=before, after=after).f1_change == change


def test_nothing_labelled_has_no_f1() -> None:
    found = compare([AIRDROP], rules(), rules(airdrop=1))
    assert found.before.report is None
    assert found.f1_change == 0.0
    assert set(found.before.as_dict()) == {"rules_version", "alerts"}


def test_the_whole_as_json() -> None:
    found = compare([AIRDROP, LISTING], rules(listing=1), rules(airdrop=1))
    assert found.as_dict() == {
        "texts": 2,
        "before": found.before.as_dict(),
        "after": found.after.as_dict(),
        "gained": [found.gained[0].as_dict()],
        "lost": [found.lost[0].as_dict()],
    }


def test_what_title_and_summary_hold_back_is_no_alert() -> None:
    """A crawl reads no page, and finds no alert, where the screen says that it is not worth it."""
    told = Text(title="Airdrop season", text="Tidepool opens its airdrop.", screened=True)
    strict = rules(screen=20)
    (lost,) = compare([told], rules(), strict).lost
    assert lost.missing == (HELD_BACK,)
    assert lost.before.score == lost.after.score > 0.5
    assert not compare([replace(told, screened=False)], rules(), strict).changed
    (gained,) = compare([told], rules(airdrop=1, screen=20), rules()).gained
    assert gained.missing == ("score 0.29 below 0.50",)


@pytest.mark.parametrize(
    ("text", "heading"),
    [
        (Text(title=" one\n  line "), "one line"),
        (Text(summary="the summary", text="the text"), "the summary"),
        (Text(title=" ", summary="\n", text="of a  post"), "of a post"),
        (Text(text="x" * 500), "x" * 120),
    ],
)
def test_a_text_has_a_heading(text: Text, heading: str) -> None:
    assert text.heading == heading


def test_a_text_is_given_to_the_rules_whole() -> None:
    whole = Text(
        title="a",
        summary="b",
        text="c",
        medium="post",
        url="https://desk.example/1",
        published_at=datetime(2026, 10, 12, tzinfo=UTC),
        links=(("https://claim.example/", "claim"),),
    )
    heard = _Listener(rules())
    compare([whole], heard, rules())
    assert heard.heard == [
        {"texts": ("a", "b", "c"), "medium": "post", "url": whole.url}
        | {"published_at": whole.published_at, "links": whole.links}
    ]


class _Listener(Assessor):
    """Rules that keep what they were asked."""

    def __init__(self, like: Assessor) -> None:
        super().__init__(WATCHLIST, like.lexicon, min_score=0.5)
        self.heard: list[dict[str, Any]] = []

    def assess(self, *texts: str, **given: Any) -> Assessment:  # type: ignore[override]
        self.heard.append({"texts": texts, **given})
        return super().assess(*texts, **given)
