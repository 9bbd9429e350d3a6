"""The fitted weights: what each cue counts for, as the lines of ``weights.tsv``.

A line is ``head <tab> cue <tab> weight``. Heads: ``relevance`` (in log-odds),
``kind/KIND`` and ``status/STATUS`` (the largest sum wins), ``project`` and
``token`` (what speaks for a candidate name). Lines that begin with ``#`` say
where the weights come from. ``scrapy fit`` writes the file; a line may be
edited by hand.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from tgecrawler.items import KINDS, STATUSES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

BIAS = "(bias)"
LARGEST = 50.0
HEADS = ("relevance", "kind", "status", "project", "token")
_CLASSES = {"kind": frozenset(KINDS), "status": frozenset(STATUSES)}

Label = TypeVar("Label", bound=str)


@dataclass(frozen=True, slots=True)
class Weights:
    """Weights by head and cue; an absent cue counts nothing.

    ``kind`` and ``status`` lead from a cue to its weight for each class.
    """

    relevance: Mapping[str, float] = field(default_factory=dict)
    kind: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    status: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    project: Mapping[str, float] = field(default_factory=dict)
    token: Mapping[str, float] = field(default_factory=dict)

    def lines(self) -> Iterable[str]:
        """Yield the lines that ``parse_weights`` reads back, sorted within each head."""
        for head in ("relevance", "project", "token"):
            yield from (f"{head}\t{cue}\t{w:.4g}" for cue, w in sorted(getattr(self, head).items()))
        for head in ("kind", "status"):
            for cue, classes in sorted(getattr(self, head).items()):
                yield from (f"{head}/{name}\t{cue}\t{w:.4g}" for name, w in sorted(classes.items()))


def parse_weights(lines: Iterable[str]) -> Weights:
    """Return the weights of the lines of a file.

    Raises:
        ValueError: a line is none of the grammar's; ``error.args`` are what is
            wrong and the number of the line, from 1.
    """
    single: dict[str, dict[str, float]] = {name: {} for name in ("relevance", "project", "token")}
    classes: dict[str, dict[str, dict[str, float]]] = {
        name: defaultdict(dict) for name in ("kind", "status")
    }
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.startswith("#"):
            continue
        head, cue, weight = _parse_line(line, number)
        name, _, label = head.partition("/")
        known = classes[name][cue] if label else single[head]
        key = label or cue
        if key in known:
            raise ValueError(f"{head} has two weights for {cue!r}; keep one", number)
        known[key] = weight
    return Weights(
        single["relevance"],
        dict(classes["kind"]),
        dict(classes["status"]),
        single["project"],
        single["token"],
    )


def _parse_line(line: str, number: int) -> tuple[str, str, float]:
    parts = line.rstrip("\r\n").split("\t")
    if len(parts) != 3 or not parts[1]:
        raise ValueError("a line is head, cue and weight with tabs between them", number)
    head, cue, written = parts
    name, slash, label = head.partition("/")
    if name not in HEADS or bool(slash) != (name in _CLASSES):
        raise ValueError(f"{head!r} is no head; known: {', '.join(HEADS)}", number)
    if slash and label not in _CLASSES[name]:
        raise ValueError(f"{label!r} is no {name}", number)
    try:
        weight = float(written)
    except ValueError:
        raise ValueError(f"{written!r} is no number", number) from None
    if not math.isfinite(weight) or abs(weight) > LARGEST:
        raise ValueError(f"a weight is from -{LARGEST:.0f} to {LARGEST:.0f}", number)
    return head, cue, weight


def best_class(weights: Mapping[str, Mapping[str, float]], cues: Iterable[str]) -> str:
    """Return the class whose weights sum highest over some cues, "" without weights.

    Of equal sums the alphabetically first class wins, so that the answer never
    depends on the order of a file.
    """
    sums: dict[str, float] = defaultdict(float)
    for cue in (BIAS, *cues):
        for name, weight in weights.get(cue, {}).items():
            sums[name] += weight
    return min(sums, key=lambda name: (-sums[name], name)) if sums else ""
