"""A press is never lost and never doubled, whatever the contact does."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiosk.bedside.debounce import (
    TRANSITIONS,
    Button,
    Contact,
    Edge,
    Held,
    Look,
    Pressed,
    Released,
    Signal,
    next_look,
    step,
)

BOUNCE = 0.04
Event = Pressed | Released | Held


def play(button: Button, *seen: Edge | Look) -> tuple[Button, list[Event]]:
    events: list[Event] = []
    for item in seen:
        button, new = step(button, item)
        events += new
    return button, events


@pytest.mark.promise("R07")
def test_the_first_edge_is_a_press_at_once() -> None:
    button, events = play(Button(bounce=BOUNCE), Edge(True, 1.0))
    assert events == [Pressed(1.0)]
    assert button.contact is Contact.CLOSED


@pytest.mark.promise("R07")
def test_a_5_ms_tap_is_a_press() -> None:
    button, events = play(Button(bounce=BOUNCE), Edge(True, 1.0), Edge(False, 1.005))
    assert next_look(button) == pytest.approx(1.005 + BOUNCE)
    button, later = play(button, Look(False, 1.05))
    assert events == [Pressed(1.0)]
    assert [type(event) for event in later] == [Released]
    assert later[0].at == 1.05


def test_bounce_on_both_sides_is_one_press_and_one_release() -> None:
    _, events = play(
        Button(bounce=BOUNCE),
        *[Edge(i % 2 == 0, 1.0 + i * 0.001) for i in range(7)],
        *[Edge(i % 2 == 1, 2.0 + i * 0.001) for i in range(7)],
        Look(False, 2.1),
    )
    assert [type(event) for event in events] == [Pressed, Released]


def test_a_look_inside_the_bounce_time_does_not_release() -> None:
    button, events = play(Button(bounce=BOUNCE), Edge(True, 1.0), Edge(False, 1.5), Look(False, 1.51))
    assert [type(event) for event in events] == [Pressed]
    assert button.contact is Contact.OPENING
    assert button.broken_at == 1.5


def test_a_lost_making_edge_is_found_by_looking() -> None:
    _, events = play(Button(bounce=BOUNCE), Look(True, 3.0))
    assert events == [Pressed(3.0)]


def test_a_lost_breaking_edge_is_found_by_looking_twice() -> None:
    button, events = play(Button(bounce=BOUNCE), Edge(True, 1.0), Look(False, 2.0))
    assert events == [Pressed(1.0)]
    assert next_look(button) == pytest.approx(2.0 + BOUNCE)
    _, later = play(button, Look(False, 2.05))
    assert later == [Released(2.05, after=1.0)]


def test_holding_is_reported_once_and_only_while_down() -> None:
    button = Button(bounce=BOUNCE, hold=1.0)
    button, _ = play(button, Edge(True, 1.0))
    assert next_look(button) == 2.0
    button, events = play(button, Look(True, 1.9), Look(True, 2.0), Look(True, 3.0))
    assert events == [Held(2.0)]
    assert next_look(button) is None
    button, events = play(button, Edge(False, 4.0), Look(False, 4.1), Edge(True, 5.0), Look(True, 6.0))
    assert [type(event) for event in events] == [Released, Pressed, Held]


def test_a_short_press_is_not_held() -> None:
    _, events = play(Button(bounce=BOUNCE, hold=1.0), Edge(True, 1.0), Edge(False, 1.5), Look(False, 2.5))
    assert [type(event) for event in events] == [Pressed, Released]


def test_every_state_has_every_signal() -> None:
    for contact, signal in itertools.product(Contact, Signal):
        assert isinstance(TRANSITIONS[contact][signal], Contact)


@pytest.mark.promise("R07")
@given(
    presses=st.lists(
        st.tuples(
            st.floats(0.005, 2.0),  # how long the finger stays down
            st.integers(0, 8),  # bounces on each side
        ),
        min_size=1,
        max_size=8,
    )
)
def test_as_many_presses_as_fingers_came_down(presses: list[tuple[float, int]]) -> None:
    button, events, at = Button(bounce=BOUNCE), list[Event](), 0.0
    for down, bounces in presses:
        at += 0.3
        edges = [Edge(i % 2 == 0, at + i * 0.0004) for i in range(bounces // 2 * 2 + 1)]
        at += down
        edges += [Edge(i % 2 == 1, at + i * 0.0004) for i in range(bounces // 2 * 2 + 1)]
        button, new = play(button, *edges)
        at += 0.2
        button, last = play(button, Look(False, at))
        events += new + last
    assert [type(event) for event in events] == [Pressed, Released] * len(presses)
