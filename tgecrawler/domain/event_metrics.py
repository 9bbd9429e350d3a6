"""How well events and duplicates agree with labelled ones: ``scrapy evaluate --events``."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import combinations
from typing import TYPE_CHECKING

from tgecrawler.domain.dates import parse_date
from tgecrawler.domain.event_grouping import EventMention, entity_of, group_mentions
from tgecrawler.domain.event_traits import traits_of
from tgecrawler.domain.grouping import Candidate, choose_originals
from tgecrawler.domain.near_duplicate import are_copies, band_keys, make_fingerprint

if TYPE_CHECKING:
    from collections.abc import Container, Mapping, Sequence

    from tgecrawler.domain.metrics import LabelledRecord
    from tgecrawler.items import Assessment, EventTraits

UNDATED = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Agreement:
    """Precision, recall and their harmonic mean; a ratio over nothing is 0.0."""

    right: int
    claimed: int
    labelled: int

    def as_dict(self, name: str) -> dict[str, float]:
        """Return the three figures under ``name_precision``, ``name_recall``, ``name_f1``."""
        precision = self.right / self.claimed if self.claimed else 0.0
        recall = self.right / self.labelled if self.labelled else 0.0
        both = precision + recall
        f1 = 2 * precision * recall / both if both else 0.0
        return {f"{name}_precision": precision, f"{name}_recall": recall, f"{name}_f1": f1}


def compare_groups(found: Mapping[str, str], labelled: Mapping[str, str]) -> Agreement:
    """Return the agreement over pairs of ids that share a group.

    Both map an id to its group; ids of `labelled` alone count, an empty group is none.
    """
    ids = [id_ for id_, group in labelled.items() if group]
    return Agreement(
        right=_pairs(Counter((found.get(id_), labelled[id_]) for id_ in ids if found.get(id_))),
        claimed=_pairs(Counter(found[id_] for id_ in ids if found.get(id_))),
        labelled=_pairs(Counter(labelled[id_] for id_ in ids)),
    )


def compare_duplicates(found: Mapping[str, str], labelled: Mapping[str, str]) -> Agreement:
    """Return the agreement over (duplicate, original); both map a duplicate to its original."""
    right = sum(labelled.get(id_) == original for id_, original in found.items())
    return Agreement(right, len(found), len(labelled))


def find_duplicates(
    judged: Sequence[tuple[LabelledRecord, Assessment]],
    ordinary: Container[str],
    anybodys: Container[str],
) -> dict[str, str]:
    """Return the original of each record that says nearly the same as an earlier one."""
    prints: dict[str, bytes] = {}
    for record, assessment in judged:
        title, summary, text = record.title, record.summary, record.text
        project, token, *_ = traits_of(title, summary, text, assessment, anybodys)
        prints[record.id] = make_fingerprint(
            title, summary, text, ordinary, project=project, token=token
        )
    near: dict[str, list[str]] = defaultdict(list)
    for one, other in _candidates(prints):
        if are_copies(prints[one], prints[other]):
            near[one].append(other)
    originals = choose_originals(
        Candidate(
            id=record.id,
            tier=1,
            published_at=moment_of(record),
            near=tuple(near.get(record.id, ())),
        )
        for record, _ in judged
    )
    return {id_: original for id_, original in originals.items() if id_ != original}


def find_events(
    judged: Sequence[tuple[LabelledRecord, Assessment]],
    duplicates: Mapping[str, str],
    anybodys: Container[str],
) -> dict[str, str]:
    """Return the event of each record, named by its first one; a duplicate is with its original."""
    traits = {
        record.id: traits_of(record.title, record.summary, record.text, assessment, anybodys)
        for record, assessment in judged
    }
    known = traits.keys()
    originals = [pair for pair in judged if duplicates.get(pair[0].id) not in known]
    votes: dict[str, Counter[str]] = defaultdict(Counter)
    for record, _ in originals:
        if token := traits[record.id].token:
            votes[token][traits[record.id].project] += 1
    events = group_mentions(
        EventMention(
            id=record.id,
            told_at=moment_of(record),
            entity=_entity(traits[record.id], votes),
            track=traits[record.id].track,
            season=traits[record.id].season,
            status=assessment.status,
        )
        for record, assessment in originals
    )
    found = {mention.id: event[0].id for event in events for mention in event}
    copies = {record.id: duplicates[record.id] for record, _ in judged if record.id not in found}
    return found | {id_: found[original] for id_, original in copies.items()}


def moment_of(record: LabelledRecord) -> datetime:
    """Return when a record was published; of a month its first day, of none 1970."""
    return parse_date(record.published) or parse_date(f"{record.published}-01") or UNDATED


def _entity(traits: EventTraits, votes: Mapping[str, Mapping[str, int]]) -> str:
    return entity_of(traits.project, traits.token, votes.get(traits.token, {}))


def _pairs(sizes: Counter[object]) -> int:
    return sum(size * (size - 1) // 2 for size in sizes.values())


def _candidates(prints: Mapping[str, bytes]) -> set[tuple[str, str]]:
    sharing: dict[int, list[str]] = defaultdict(list)
    for id_, fingerprint in prints.items():
        for key in band_keys(fingerprint):
            sharing[key].append(id_)
    return {pair for ids in sharing.values() for pair in combinations(sorted(ids), 2)}
