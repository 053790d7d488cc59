"""A dead path is noticed by the absence of packets; silence, a quiet peer and a blind moment are not one."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiosk.media.liveness import (
    BLIND_S,
    LOOK_EVERY_S,
    QUIET_S,
    STALL_S,
    Event,
    Liveness,
    PeerSends,
    Seen,
    State,
    Tick,
    begin,
    step,
)


def looked(path: Liveness, *, until: float) -> Liveness:
    """Nothing comes, and the shell looks as often as it does."""
    while path.looked_at < until:
        path = step(path, Tick(path.looked_at + LOOK_EVERY_S))
    return path


SENDING = begin(0.0, sends=True)
STALLED = looked(SENDING, until=STALL_S)


def test_a_dead_path_is_noticed_within_three_seconds() -> None:
    assert looked(SENDING, until=STALL_S - LOOK_EVERY_S).state is State.ALIVE
    assert looked(SENDING, until=STALL_S).state is State.STALLED
    assert STALL_S + LOOK_EVERY_S < 3.0


def test_packets_that_come_back_in_time_begin_the_wait_anew() -> None:
    path = step(looked(SENDING, until=2.0), Seen(2.25))
    assert looked(path, until=2.25 + STALL_S - LOOK_EVERY_S).state is State.ALIVE
    assert looked(path, until=2.25 + STALL_S).state is State.STALLED


def test_a_stall_is_judged_once_and_ended_by_the_next_packet() -> None:
    assert looked(STALLED, until=30.0).state is State.STALLED
    assert step(STALLED, PeerSends(False, 5.0)).state is State.STALLED
    assert step(STALLED, Seen(5.0)).state is State.ALIVE


def test_a_far_end_that_sends_nothing_is_missed_only_by_its_reports() -> None:
    path = begin(0.0, sends=False)
    assert looked(path, until=QUIET_S - LOOK_EVERY_S).state is State.ALIVE
    assert looked(path, until=QUIET_S).state is State.STALLED


def test_a_far_end_that_stops_sending_is_not_missed_for_it() -> None:
    path = step(looked(SENDING, until=2.0), PeerSends(False, 2.0))
    assert looked(path, until=STALL_S + 1).state is State.ALIVE


def test_a_far_end_that_begins_to_send_is_given_the_whole_limit_once() -> None:
    path = step(looked(begin(0.0, sends=False), until=8.0), PeerSends(True, 8.0))
    path = looked(path, until=8.0 + STALL_S - LOOK_EVERY_S)
    assert path.state is State.ALIVE
    path = step(path, PeerSends(True, path.looked_at))
    assert looked(path, until=8.0 + STALL_S).state is State.STALLED, "saying it again proves nothing"


def test_time_in_which_nobody_looked_does_not_count() -> None:
    path = step(looked(SENDING, until=1.0), Tick(61.0))
    assert path.state is State.ALIVE
    assert looked(path, until=60.0 + STALL_S).state is State.STALLED


EVENTS: list[Event] = [Seen(4.0), PeerSends(True, 4.0), PeerSends(False, 4.0), Tick(4.0)]


@pytest.mark.parametrize(("path", "event"), list(itertools.product([SENDING, STALLED], EVENTS)))
def test_only_a_packet_ends_a_stall(path: Liveness, event: Event) -> None:
    after = step(path, event)
    assert (after.state is State.STALLED) == (path.state is State.STALLED and not isinstance(event, Seen))


@given(
    st.lists(
        st.tuples(
            st.floats(0.01, BLIND_S),
            st.sampled_from(["seen", "nothing", "says it sends", "says it does not"]),
        )
    )
)
def test_a_path_is_stalled_only_after_its_whole_limit_without_a_packet(history: list[tuple[float, str]]) -> None:
    path, now, seen_at = begin(0.0, sends=True), 0.0, 0.0
    for passed, what in history:
        now += passed
        if what == "seen":
            seen_at, path = now, step(path, Seen(now))
        elif what == "nothing":
            path = step(path, Tick(now))
        else:
            path = step(path, PeerSends(what == "says it sends", now))
        if path.state is State.STALLED:
            assert now - seen_at >= STALL_S
