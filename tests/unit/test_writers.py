"""A desk to whose connections nothing goes out any more is not a desk that works."""

from __future__ import annotations

from kiosk.desk.peer import SHUTDOWN_TIMEOUT_S
from kiosk.desk.peer_session import BEATS_UNANSWERED, HEARTBEAT_S
from kiosk.desk.writers import WITHIN_S, Writers

LATE = WITHIN_S + 0.1


def test_a_desk_without_connections_is_in_order_for_ever() -> None:
    writers = Writers()
    assert not writers.stalled(now=1e9)
    writers.began(now=1e9)
    writers.ended()
    assert not writers.stalled(now=2e9)


def test_connections_to_which_nothing_goes_out_are_a_stall_until_something_does() -> None:
    writers = Writers()
    writers.began(now=100.0)
    assert not writers.stalled(now=100.0 + WITHIN_S)
    writers.began(now=100.0 + WITHIN_S)
    assert writers.stalled(now=100.0 + LATE), "one more that comes is no progress"
    writers.wrote(now=100.0 + LATE)
    assert not writers.stalled(now=100.0 + LATE)


def test_a_lone_peer_that_does_not_read_is_closed_before_it_counts_as_a_stall() -> None:
    assert HEARTBEAT_S * (BEATS_UNANSWERED + 1) + SHUTDOWN_TIMEOUT_S < WITHIN_S
