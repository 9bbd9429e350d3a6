from __future__ import annotations

from tgecrawler.domain.outage import FIRST_PAUSE_S, LONGEST_PAUSE_S, Outage


def test_pauses_double_up_to_a_bound_and_start_anew() -> None:
    outage = Outage()
    assert (outage.lasts, outage.wait_s(5.0)) == (False, 0.0)
    assert outage.failed(10.0)
    assert outage.wait_s(10.0) == FIRST_PAUSE_S
    assert outage.wait_s(10.0 + FIRST_PAUSE_S) == 0.0
    pauses = []
    for _ in range(8):
        assert not outage.failed(20.0)
        pauses.append(outage.wait_s(20.0))
    assert pauses[:2] == [2 * FIRST_PAUSE_S, 4 * FIRST_PAUSE_S]
    assert pauses[-1] == LONGEST_PAUSE_S
    assert outage.ended()
    assert not outage.ended()
    assert outage.failed(30.0)
    assert outage.wait_s(30.0) == FIRST_PAUSE_S
