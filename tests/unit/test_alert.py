from __future__ import annotations

import io
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from tgecrawler.domain.alert import ALERT_FIELDS, alert_of, rfc3339
from tgecrawler.exports import AlertCsvExporter, AlertJsonExporter, AlertJsonLinesExporter
from tgecrawler.items import Assessment, Mention, Reason

MOMENT = datetime(2026, 10, 12, 10, 30, tzinfo=timezone(timedelta(hours=2)))
MENTION = Mention(
    entry_id="1a",
    source="desk",
    owner="desk",
    tier=1,
    url="https://desk.example/a",
    canonical_url="https://desk.example/a",
    title="=cmd()",
    published_at=MOMENT,
    seen_at=datetime(2026, 10, 12, 9, tzinfo=UTC),
    copy_of="1b",
    assessment=Assessment(
        score=0.9,
        relevant=True,
        kind="airdrop",
        companies=("Nimbus",),
        reasons=(Reason(rule="airdrop", weight=2.0, field="title", start=0, end=3, text="=cm"),),
    ),
)


def test_an_alert_has_every_field_in_order() -> None:
    alert = alert_of(MENTION)
    assert tuple(alert) == ALERT_FIELDS
    assert alert["published_at"] == "2026-10-12T08:30:00Z"
    assert alert["duplicate_of"] == "1b"
    assert alert["companies"] == ["Nimbus"]
    assert alert["reasons"][0]["rule"] == "airdrop"
    assert alert["kind"] == "airdrop"
    assert alert["stored_at"] is None


def test_only_what_was_assessed_is_an_alert() -> None:
    with pytest.raises(ValueError, match="was not assessed"):
        alert_of(replace(MENTION, assessment=None))


def test_no_moment_is_none() -> None:
    assert rfc3339(None) is None


@pytest.mark.parametrize("exporter_type", [AlertJsonLinesExporter, AlertJsonExporter])
def test_json_exports(exporter_type: type[AlertJsonExporter]) -> None:
    out = io.BytesIO()
    exporter = exporter_type(out)
    exporter.start_exporting()
    exporter.export_item(MENTION)
    exporter.finish_exporting()
    loaded = json.loads(out.getvalue())
    alert = loaded[0] if isinstance(loaded, list) else loaded
    assert alert == alert_of(MENTION)


def test_a_spreadsheet_takes_no_title_for_a_formula() -> None:
    out = io.BytesIO()
    exporter = AlertCsvExporter(out)
    exporter.start_exporting()
    exporter.export_item(MENTION)
    exporter.finish_exporting()
    row = out.getvalue().decode().splitlines()[1]
    assert "'=cmd()" in row
    assert '"[""Nimbus""]"' in row
