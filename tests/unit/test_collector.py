"""What the crawl asks of Python's garbage collector, and takes back."""

from __future__ import annotations

import gc

from tgecrawler.extensions.collector import YOUNG_OBJECTS, Collector


def test_a_crawl_sets_aside_what_is_loaded_and_leaves_no_trace() -> None:
    before = gc.get_threshold()
    collector = Collector()

    collector.engine_started()
    try:
        assert gc.get_freeze_count() > 0
        assert gc.get_threshold() == (YOUNG_OBJECTS, *before[1:])
    finally:
        collector.engine_stopped()

    assert gc.get_freeze_count() == 0
    assert gc.get_threshold() == before
