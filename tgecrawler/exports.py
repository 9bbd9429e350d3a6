"""Item exports (``-O out.jsonl``) in the shape of an alert."""

from __future__ import annotations

from typing import Any

import orjson
from scrapy.exporters import CsvItemExporter, JsonItemExporter, JsonLinesItemExporter

from tgecrawler.domain.alert import alert_of
from tgecrawler.items import Mention


def _shown(item: Any) -> Any:
    return alert_of(item) if isinstance(item, Mention) else item


class AlertJsonLinesExporter(JsonLinesItemExporter):
    """One alert a line."""

    def export_item(self, item: Any) -> None:
        super().export_item(_shown(item))


class AlertJsonExporter(JsonItemExporter):
    """An array of alerts."""

    def export_item(self, item: Any) -> None:
        super().export_item(_shown(item))


class AlertCsvExporter(CsvItemExporter):
    """One alert a row; a list is written as JSON in its cell.

    A text that a spreadsheet would take for a formula gets a leading apostrophe.
    """

    def export_item(self, item: Any) -> None:
        shown = _shown(item)
        cells = {name: _cell(value) for name, value in shown.items()}
        super().export_item(cells)


def _cell(value: Any) -> Any:
    if isinstance(value, list):
        return orjson.dumps(value).decode()
    if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")):
        return f"'{value}"
    return value
