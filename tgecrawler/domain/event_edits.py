"""Events joined and parted by hand: remembered, and applied again after every grouping."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

EditAction = Literal["merge", "split"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EventEdit:
    """One decision, told by mentions, which stay when events change.

    ``merge``: the events of all these mentions are one. ``split``: these
    mentions are an event of their own. Later decisions go over earlier ones.
    """

    id: int
    action: EditAction
    mentions: tuple[str, ...]


def apply_edits(events: Iterable[Sequence[str]], edits: Iterable[EventEdit]) -> list[list[str]]:
    """Return `events` (each the ids of its mentions) after `edits`, in the order they were made.

    Mentions of an edit that are in none of the events are left out of account.
    """
    groups: dict[int, list[str]] = {at: list(event) for at, event in enumerate(events)}
    group_of = {id_: at for at, event in groups.items() for id_ in event}
    for edit in sorted(edits, key=lambda edit: edit.id):
        known = [id_ for id_ in dict.fromkeys(edit.mentions) if id_ in group_of]
        if not known:
            continue
        if edit.action == "merge":
            touched = sorted({group_of[id_] for id_ in known})
            target, members = touched[0], [id_ for at in touched for id_ in groups.pop(at)]
        else:
            target, members = max(groups) + 1, known
            for id_ in known:
                groups[group_of[id_]].remove(id_)
        groups[target] = members
        group_of |= dict.fromkeys(members, target)
    return [event for _, event in sorted(groups.items()) if event]
