"""A user's way out: bounded, and with a last word."""

from __future__ import annotations

from kiosk.desk.relay import OUTBOX_LIMIT, Connection
from kiosk.signaling import messages as wire


def test_a_user_that_is_too_far_behind_is_closed_not_queued_for() -> None:
    closed: list[str] = []
    slow = Connection("nurse-1", closed.append)
    for _ in range(OUTBOX_LIMIT):
        slow.send(wire.Ping())
    assert closed == []
    slow.send(wire.Ping())
    assert closed == ["too slow"]
    assert slow.outbox.qsize() == OUTBOX_LIMIT


def test_a_user_that_is_put_out_hears_so_also_when_it_is_far_behind() -> None:
    closed: list[str] = []
    slow = Connection("nurse-1", closed.append)
    for _ in range(OUTBOX_LIMIT):
        slow.send(wire.Ping())
    slow.dismiss(wire.KickedOut(), "kicked out")
    assert closed == ["kicked out"]
    assert slow.outbox.get_nowait() == wire.KickedOut()
    assert slow.outbox.empty()
