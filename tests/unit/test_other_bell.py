"""Where nobody can be reached the other bell rings, until the desk has the request."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiosk.bedside import request_state
from kiosk.bedside.bed import Bed
from kiosk.bedside.bed_events import (
    AttendPressed,
    CallPressed,
    Effect,
    Event,
    LinkDown,
    LinkUp,
    Received,
    SwitchRelay,
)
from kiosk.bedside.other_bell import relay_closed
from kiosk.bedside.request_events import Link, State
from kiosk.bedside.request_state import RequestState
from kiosk.signaling import messages as wire
from kiosk.signaling.messages import CloseReason

pytestmark = pytest.mark.promise("R04")

NOW = 100.0
PRESS = CallPressed(NOW, "r1")
TAKEN = Received(wire.RequestTaken(request_id="r1"))
WITH_THE_DESK = [state for state in State if state not in (State.IDLE, State.UNSENT)]


def switched(*events: Event) -> list[bool]:
    """How the relay is switched in the course of *events*."""
    bed = Bed(rules=request_state.Rules(), info=wire.BedInfo(group="ward"), devices=wire.Devices())
    effects: list[Effect] = []
    for event in events:
        effects += bed.handle(event, now=NOW)
    return [effect.closed for effect in effects if isinstance(effect, SwitchRelay)]


@pytest.mark.parametrize(
    ("link", "before", "escalated"), list(itertools.product(Link, [False, True], [False, True]))
)
def test_without_a_request_the_other_bell_is_silent(link: Link, before: bool, escalated: bool) -> None:
    assert not relay_closed(RequestState(link=link), before=before, escalated=escalated)


@pytest.mark.parametrize("before", [False, True])
@pytest.mark.parametrize("link", [Link.DOWN, Link.REFUSED])
def test_a_request_that_nobody_has_rings_it(link: Link, before: bool) -> None:
    assert relay_closed(RequestState(state=State.UNSENT, link=link), before=before)


@pytest.mark.parametrize("before", [False, True])
def test_while_the_desk_is_told_it_stays_as_it_was(before: bool) -> None:
    assert relay_closed(RequestState(state=State.UNSENT, link=Link.UP), before=before) is before


@pytest.mark.parametrize(("state", "link"), list(itertools.product(WITH_THE_DESK, Link)))
def test_what_the_desk_has_rings_it_only_when_the_desk_has_given_up_on_it(state: State, link: Link) -> None:
    told = RequestState(state=state, link=link)
    assert not relay_closed(told, before=True)
    assert relay_closed(told, before=False, escalated=True)


def test_a_press_that_the_desk_takes_never_rings_it() -> None:
    assert switched(LinkUp(30.0), PRESS, TAKEN, AttendPressed()) == []


def test_a_press_without_a_link_rings_it_once_until_the_desk_has_the_request() -> None:
    assert switched(PRESS) == [True]
    assert switched(PRESS, PRESS, LinkUp(30.0), LinkDown(), LinkUp(30.0)) == [True], "a link that flickers"
    assert switched(PRESS, LinkUp(30.0), TAKEN) == [True, False]


def test_a_link_lost_with_a_request_open_rings_it() -> None:
    assert switched(LinkUp(30.0), PRESS, TAKEN, LinkDown()) == [True]


@pytest.mark.parametrize(
    "end",
    [AttendPressed(), Received(wire.RequestClosed(request_id="r1", reason=CloseReason.CLOSED_BY_SEAT))],
)
def test_it_falls_silent_with_the_request(end: Event) -> None:
    assert switched(PRESS, end) == [True, False]


@given(st.lists(st.sampled_from([PRESS, TAKEN, LinkUp(30.0), LinkDown(), AttendPressed()]), max_size=30))
def test_it_is_switched_to_and_fro_and_is_silent_in_the_end(history: list[Event]) -> None:
    told = switched(*history, AttendPressed())
    assert told == [True, False] * (len(told) // 2)
