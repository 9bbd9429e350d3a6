"""A batch as JSON and back, for what has to wait on disk or be looked at by a person.

A reader refuses a payload of a newer version. Of an older one, what is missing
takes the default of its field; a test holds a line of each version.
"""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from tgecrawler.errors import PayloadError
from tgecrawler.items import Assessment, EventTraits, Mention, Reason
from tgecrawler.storage.batch import Batch, Rejected

if TYPE_CHECKING:
    from collections.abc import Mapping

VERSION = 1


def batch_to_json(batch: Batch) -> str:
    """Return a batch as one line of ASCII; of a mention all but its ``links``, which no row has."""
    value = {
        "v": VERSION,
        "rules_version": batch.rules_version,
        "mentions": [asdict(replace(mention, links=())) for mention in batch.mentions],
        "rejected": [asdict(entry) for entry in batch.rejected],
    }
    # The standard library's, which alone takes what a page may bear: half of a surrogate pair.
    return json.dumps(value, default=_to_text, separators=(",", ":"))


def batch_from_json(text: str | bytes) -> Batch:
    """Return the batch that a line was made of.

    Raises:
        PayloadError: it is of a newer version, or no payload.
    """
    try:
        value = json.loads(text)
        version = value["v"]
        if version > VERSION:
            raise PayloadError(f"of version {version}; this program reads up to {VERSION}")
        return Batch(
            mentions=[_mention(row) for row in value["mentions"]],
            rejected=[
                Rejected(**{**row, "seen_at": datetime.fromisoformat(row["seen_at"])})
                for row in value["rejected"]
            ],
            rules_version=value["rules_version"],
        )
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise PayloadError(f"not a batch of rows: {error!r}") from error


def _to_text(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.hex()
    raise TypeError(f"{type(value).__name__} has no place in a payload")


def _mention(row: Mapping[str, Any]) -> Mention:
    given = dict(row)
    for name in ("published_at", "seen_at"):
        given[name] = datetime.fromisoformat(row[name]) if row.get(name) else None
    given["fingerprint"] = bytes.fromhex(row.get("fingerprint", ""))
    given["near"] = tuple((other, similarity) for other, similarity in row.get("near", ()))
    given["links"] = ()
    given["traits"] = EventTraits(*row["traits"]) if row.get("traits") else None
    given["assessment"] = _assessment(row["assessment"]) if row.get("assessment") else None
    return Mention(**given)


def _assessment(row: Mapping[str, Any]) -> Assessment:
    given = dict(row)
    given["reasons"] = tuple(Reason(**reason) for reason in row.get("reasons", ()))
    for name in ("companies", "missing"):
        given[name] = tuple(row.get(name, ()))
    return Assessment(**given)
