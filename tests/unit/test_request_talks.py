"""Several seats in one talk: it is one until the last has gone, and how that one went decides."""

from __future__ import annotations

import itertools

import pytest

from kiosk.bedside import prompts
from kiosk.bedside.request_events import (
    Attend,
    CallBroke,
    CallConnected,
    CallEnded,
    CallInterrupted,
    CallRestored,
    Effect,
    Event,
    LampSign,
    LinkChanged,
    Press,
    SeatCalls,
    SeatJoins,
    SendRequest,
    Show,
    State,
    View,
)
from kiosk.bedside.request_state import open_request, view
from kiosk.signaling import messages as wire
from tests.unit.test_request import CONNECTED, PATHS, PRESS, played

JOINS = SeatJoins("c2", "doctor-1", 8)
SECOND = CallConnected("c2", "doctor-1", 8)
TALKING = PATHS[State.TALKING]
TWO: list[Event] = [*TALKING, JOINS, SECOND]


def test_the_patient_is_told_how_many_speak() -> None:
    _, effects = played(*TALKING, JOINS)
    assert effects == [], "nobody is told of a seat whose media do not flow yet"
    two, effects = played(*TWO)
    assert effects == [SendRequest(), Show(View(LampSign.TALKING, "talking_with_several", seats=2))]
    assert "2" in prompts.words(view(two), "en")
    assert "2" in prompts.words(view(two), "zh")
    _, effects = played(CallEnded("c1"), start=two)
    assert effects == [SendRequest(), Show(View(LampSign.TALKING, "talking"))]


def test_the_wire_hears_of_every_talk() -> None:
    two, _ = played(*TWO)
    told = open_request(two, now=11.0)
    assert told is not None
    assert (told.call_id, told.call_seat, told.fence) == ("c1", "nurse-1", 7)
    assert told.others == (wire.Talk(call_id="c2", seat="doctor-1", fence=8),)
    one, _ = played(CallBroke("c1"), start=two)
    told = open_request(one, now=11.0)
    assert told is not None
    assert (told.phase, told.call_id, told.call_seat, told.fence, told.others) == (
        wire.Phase.TALKING,
        "c2",
        "doctor-1",
        8,
        (),
    )


ENDS: dict[type[Event], State] = {CallEnded: State.ANSWERED, CallBroke: State.UNSENT}


@pytest.mark.promise("R01")
@pytest.mark.parametrize(("first", "last"), list(itertools.product((CallEnded, CallBroke), repeat=2)))
@pytest.mark.parametrize("order", [("c1", "c2"), ("c2", "c1")])
def test_the_last_to_go_decides_where_the_request_stands(
    first: type[CallEnded | CallBroke], last: type[CallEnded | CallBroke], order: tuple[str, str]
) -> None:
    one, effects = played(*TWO, first(order[0], spoken=True))
    assert one.state is State.TALKING
    assert SendRequest() in effects
    none, effects = played(last(order[1]), start=one)
    assert (none.state, none.talks, none.spoken) == (ENDS[last], (), True)
    assert SendRequest() in effects


@pytest.mark.parametrize("went", [CallEnded("c1"), CallBroke("c1")])
def test_a_seat_that_has_accepted_and_is_not_there_yet_keeps_the_talk(went: Event) -> None:
    alone, effects = played(*TALKING, JOINS, went)
    assert alone.state is State.TALKING
    assert effects[-1] == Show(View(LampSign.WAITING, "interrupted")), "nobody hears the patient at the moment"
    _, effects = played(SECOND, start=alone)
    assert effects[-1] == Show(View(LampSign.TALKING, "talking"))
    assert played(CallBroke("c2"), start=alone)[0].state is State.UNSENT


def test_a_seat_that_was_asked_and_does_not_come_changes_nothing() -> None:
    talking, _ = played(*TALKING)
    for end in (CallEnded("c2"), CallBroke("c2")):
        assert played(end, start=talking) == (talking, [])


def test_a_path_of_one_seat_is_not_that_of_the_other() -> None:
    half, effects = played(*TWO, CallInterrupted("c1"))
    assert effects == [Show(View(LampSign.TALKING, "talking"))], "the other still hears"
    none, effects = played(CallInterrupted("c2"), start=half)
    assert effects == [Show(View(LampSign.WAITING, "interrupted"))]
    _, effects = played(CallRestored("c1"), CallRestored("c2"), start=none)
    assert effects == [Show(View(LampSign.TALKING, "talking_with_several", seats=2))]
    assert played(CallInterrupted("c3"), start=none) == (none, [])


def test_attendance_ends_the_request_however_many_speak() -> None:
    over, _ = played(*TWO, Attend())
    assert (over.state, over.talks) == (State.IDLE, ())


def test_a_talk_that_a_seat_began_is_over_with_its_last_seat() -> None:
    called: list[Event] = [SeatCalls("s1"), PRESS, CONNECTED, JOINS, SECOND]
    one, effects = played(*called, CallEnded("c1"))
    assert (one.state, effects) == (State.TALKING, [Show(View(LampSign.TALKING, "talking"))])
    none, effects = played(CallEnded("c2"), start=one)
    assert (none.state, none.request_id, effects) == (State.IDLE, "", [Show(View(LampSign.OFF, "ready"))])
    asked, _ = played(*called, Press(99.0, "r2"), CallEnded("c1"), CallEnded("c2"))
    assert asked.state is State.ANSWERED, "a press in such a talk asks"


def sends(effects: list[Effect]) -> int:
    return effects.count(SendRequest())


def test_a_seat_that_connects_again_is_one_seat() -> None:
    two, effects = played(*TWO, SECOND)
    assert [talk.call_id for talk in two.talks] == ["c1", "c2"]
    assert sends(effects) == 1
    assert played(LinkChanged(two.link), start=two)[0] == two
