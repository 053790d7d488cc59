"""A press is never lost and never doubled, whatever the contact does."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiosk.bedside.debounce import (
    TRANSITIONS,
    Button,
    Contact,
    Edge,
    Event,
    Freed,
    Held,
    Look,
    Pressed,
    Released,
    Signal,
    Stuck,
    next_look,
    step,
)

BOUNCE = 0.04
STUCK = 30.0


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


@pytest.mark.promise("R07")
def test_a_second_press_counts_though_a_busy_shell_never_looked_in_between() -> None:
    _, events = play(Button(bounce=BOUNCE), Edge(True, 1.0), Edge(False, 1.25), Edge(True, 1.5))
    assert events == [Pressed(1.0), Released(1.5, after=0.25), Pressed(1.5)]


def test_a_stuck_button_that_came_up_and_was_pressed_again_while_nobody_looked_is_free_and_pressed() -> None:
    stuck, _ = play(supervised(), Edge(True, 1.0), Look(True, 1.0 + STUCK))
    _, events = play(stuck, Edge(False, 50.0), Edge(True, 51.0))
    assert [type(event) for event in events] == [Released, Freed, Pressed]


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


def supervised() -> Button:
    return Button(bounce=BOUNCE, stuck=STUCK)


PATHS: dict[Contact, list[Edge | Look]] = {
    Contact.OPEN: [],
    Contact.CLOSED: [Edge(True, 1.0)],
    Contact.OPENING: [Edge(True, 1.0), Edge(False, 5.0)],
    Contact.STUCK: [Edge(True, 1.0), Look(True, 31.0)],
    Contact.FREEING: [Edge(True, 1.0), Look(True, 31.0), Edge(False, 40.0)],
}
SEEN: dict[Signal, Callable[[float], Edge | Look]] = {
    Signal.MADE: lambda last: Edge(True, last + 0.01),
    Signal.BROKEN: lambda last: Edge(False, last + 0.01),
    Signal.STAYED_BROKEN: lambda last: Look(False, last + 1.0),
    Signal.STAYED_MADE: lambda last: Look(True, last + STUCK),
}
FOLLOWS: dict[tuple[Contact, Contact], list[type[Event]]] = {
    (Contact.OPEN, Contact.CLOSED): [Pressed],
    (Contact.OPENING, Contact.OPEN): [Released],
    (Contact.CLOSED, Contact.STUCK): [Stuck],
    (Contact.OPENING, Contact.STUCK): [Stuck],
    (Contact.FREEING, Contact.OPEN): [Released, Freed],
}


@pytest.mark.parametrize(("contact", "signal"), list(itertools.product(Contact, Signal)))
def test_every_state_knows_what_to_do_with_all_that_can_be_seen(contact: Contact, signal: Signal) -> None:
    before, _ = play(supervised(), *PATHS[contact])
    assert before.contact is contact
    last = PATHS[contact][-1].at if PATHS[contact] else 0.0
    after, events = play(before, SEEN[signal](last))
    assert after.contact is TRANSITIONS[contact][signal]
    assert [type(event) for event in events] == FOLLOWS.get((contact, after.contact), [])


def test_a_button_that_does_not_come_up_is_one_press_and_a_fault() -> None:
    button, events = play(supervised(), Edge(True, 1.0), Look(True, 30.9))
    assert events == [Pressed(1.0)]
    assert next_look(button) == 31.0
    button, events = play(button, Look(True, 31.0), Look(True, 90.0))
    assert events == [Stuck(31.0)]
    assert next_look(button) is None


def test_while_it_is_stuck_nothing_is_a_press_and_when_it_opens_the_fault_is_over() -> None:
    button, _ = play(supervised(), *PATHS[Contact.STUCK])
    button, events = play(button, Edge(False, 40.0), Edge(True, 40.001), Edge(False, 50.0), Look(False, 50.01))
    assert events == []
    assert next_look(button) == pytest.approx(50.0 + BOUNCE)
    button, events = play(button, Look(False, 50.1))
    assert events == [Released(50.1, after=49.0), Freed(50.1)]
    assert play(button, Edge(True, 60.0), Look(True, 89.0))[1] == [Pressed(60.0)], "a press like any other"


def test_a_button_found_stuck_in_the_midst_of_its_bounce_is_stuck() -> None:
    _, events = play(supervised(), Edge(True, 1.0), Edge(False, 30.99), Edge(True, 31.01))
    assert events == [Pressed(1.0), Stuck(31.01)]


def test_lost_edges_of_a_stuck_button_are_found_by_looking() -> None:
    _, events = play(supervised(), Look(True, 1.0), Look(True, 31.5), Look(False, 40.0), Look(False, 40.5))
    assert events == [Pressed(1.0), Stuck(31.5), Released(40.5, after=39.0), Freed(40.5)]


def test_a_hand_that_holds_long_on_another_button_is_no_fault() -> None:
    _, events = play(Button(bounce=BOUNCE, hold=1.0), Edge(True, 1.0), Look(True, 500.0))
    assert events == [Pressed(1.0), Held(500.0)]


def test_the_shell_looks_for_whichever_comes_first() -> None:
    button, _ = play(Button(bounce=BOUNCE, hold=1.0, stuck=STUCK), Edge(True, 1.0))
    assert next_look(button) == 2.0
    button, _ = play(button, Look(True, 2.0))
    assert next_look(button) == 31.0


@given(
    st.lists(
        st.tuples(st.booleans(), st.booleans(), st.sampled_from([0.001, 0.03, 0.05, 0.5, 10.0, 40.0])), max_size=40
    )
)
def test_whatever_is_seen_presses_and_faults_come_in_turn(history: list[tuple[bool, bool, float]]) -> None:
    button, events, at = supervised(), list[Event](), 0.0
    for active, edge, passed in history:
        at += passed
        button, new = play(button, Edge(active, at) if edge else Look(active, at))
        events += new
    down = stuck = False
    for event in events:
        match event:
            case Pressed():
                assert (down, stuck) == (False, False)
                down = True
            case Stuck():
                assert (down, stuck) == (True, False)
                stuck = True
            case Released():
                assert down
                down = False
            case _:
                assert isinstance(event, Freed)
                assert (down, stuck) == (False, True)
                stuck = False
    assert (button.contact is not Contact.OPEN) == down
    assert (button.contact in (Contact.STUCK, Contact.FREEING)) == stuck


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
