"""A seat calls the bed: light and ring first, the patient answers, and no press is lost over it."""

from __future__ import annotations

import pytest

from kiosk.bedside.request import MERGE_S, step
from kiosk.bedside.request_events import (
    AnswerCall,
    Attend,
    CallBroke,
    CallConnected,
    CallEnded,
    Cancel,
    ClosedAtDesk,
    Effect,
    Event,
    Ignored,
    LampSign,
    Link,
    LinkChanged,
    Press,
    Reassure,
    SeatCalls,
    SeatStopped,
    SendClose,
    SendRequest,
    Show,
    State,
    StopCall,
    Taken,
    Unheard,
    View,
)
from kiosk.bedside.request_state import RequestState, kept_request, open_request, view
from kiosk.signaling.messages import CloseReason, Origin, Phase, Priority

CALLS = SeatCalls("seat-1")
PRESS = Press(10.0, "r1")
CONNECTED = CallConnected("c1", "nurse-1", 7)
TALK: list[Event] = [CALLS, PRESS, CONNECTED]
ANSWERED: list[Event] = [
    Press(1.0, "r0"),
    Taken("r0"),
    CallConnected("c0", "nurse-1", 6),
    CallEnded("c0", spoken=True),
]


def played(*events: Event) -> tuple[RequestState, list[Effect]]:
    state, effects = step(RequestState(), LinkChanged(Link.UP))[0], list[Effect]()
    for event in events:
        state, effects = step(state, event)
    return state, effects


@pytest.mark.promise("R06")
def test_a_seat_that_calls_is_shown_before_anything_else_happens() -> None:
    state, effects = played(CALLS)
    assert effects == [Show(View(LampSign.CALLED, "seat_calls"))]
    assert not state.is_open
    assert open_request(state, now=20.0) is None
    assert kept_request(state, now=20.0) is None


@pytest.mark.promise("R06")
def test_a_bed_that_will_answer_by_itself_says_so_and_no_longer_when_it_cannot_be_heard() -> None:
    assert view(played(SeatCalls("seat-1", by_itself=True))[0]).prompt == "seat_calls_by_itself"
    state, effects = played(SeatCalls("seat-1", by_itself=True), Unheard())
    assert effects == [Show(View(LampSign.CALLED, "seat_calls"))]
    assert state.state is State.CALLED


def test_the_patient_answers_by_pressing_and_a_satisfied_press_leaves_no_request() -> None:
    _, effects = played(CALLS, PRESS)
    assert effects == [AnswerCall(), Show(View(LampSign.HEARD, "answering"))]
    state, effects = played(*TALK)
    assert effects == [Show(View(LampSign.TALKING, "talking"))]
    assert kept_request(state, now=20.0) is None
    state, effects = played(*TALK, CallEnded("c1", spoken=True))
    assert effects == [Show(View(LampSign.OFF, "ready"))]
    assert state == played()[0]


@pytest.mark.promise("R02", "R07")
def test_a_press_that_answers_is_kept_and_becomes_a_request_when_nobody_is_there() -> None:
    answering, _ = played(CALLS, PRESS)
    kept = kept_request(answering, now=11.0)
    assert kept is not None
    assert (kept.request_id, kept.phase, kept.presses, kept.age) == ("r1", Phase.WAITING, 1, 1000)
    assert open_request(answering, now=11.0) is None, "the desk is not told yet"
    state, effects = played(CALLS, PRESS, SeatStopped())
    assert effects == [SendRequest(), Show(View(LampSign.HEARD, "heard"))]
    assert (state.state, state.request_id, state.origin) == (State.UNSENT, "r1", Origin.CALL_BUTTON)
    assert open_request(state, now=11.0) == kept


def test_more_presses_while_it_connects_reassure() -> None:
    state, effects = played(CALLS, PRESS, Press(10.5, "r2"))
    assert effects == [Reassure(View(LampSign.HEARD, "answering"))]
    assert played(CALLS, PRESS, Press(10.5, "r2"), SeatStopped())[0].request_id == "r1"
    assert state.state is State.ANSWERING


@pytest.mark.parametrize("over", [SeatStopped(), Cancel()])
def test_a_call_that_nobody_answers_leaves_nothing_behind(over: Event) -> None:
    state, effects = played(CALLS, over)
    assert state == played()[0]
    assert effects[-1] == Show(View(LampSign.OFF, "ready"))
    assert (StopCall() in effects) is isinstance(over, Cancel)


def test_who_declines_after_pressing_has_not_asked() -> None:
    state, effects = played(CALLS, PRESS, Cancel())
    assert state == played()[0]
    assert StopCall() in effects
    state, _ = played(*ANSWERED, SeatCalls("r0"), PRESS, Cancel())
    assert state == played(*ANSWERED)[0]


@pytest.mark.promise("R07")
def test_a_press_in_the_talk_asks_and_the_talk_becomes_its_call() -> None:
    state, effects = played(*TALK, Press(10.0 + MERGE_S, "r2"))
    assert effects == [SendRequest(), Reassure(View(LampSign.TALKING, "talking"))]
    told = open_request(state, now=20.0)
    assert told is not None
    assert (told.request_id, told.origin, told.presses, told.phase) == (
        "seat-1",
        Origin.CALL_BUTTON,
        1,
        Phase.TALKING,
    )
    state, effects = played(*TALK, Press(10.0 + MERGE_S, "r2"), CallEnded("c1", spoken=True))
    assert state.state is State.ANSWERED
    assert SendRequest() in effects


def test_a_hand_that_trembles_has_answered_once() -> None:
    state, effects = played(*TALK, Press(10.0 + MERGE_S - 0.1, "r2"))
    assert state == played(*TALK)[0]
    assert effects == [Reassure(View(LampSign.TALKING, "talking"))]


def test_a_talk_that_a_seat_began_is_told_to_a_desk_that_was_just_started() -> None:
    told = open_request(played(*TALK)[0], now=20.0)
    assert told is not None
    assert (told.request_id, told.origin, told.phase, told.call_id, told.call_seat, told.fence) == (
        "seat-1",
        Origin.SEAT,
        Phase.TALKING,
        "c1",
        "nurse-1",
        7,
    )


@pytest.mark.parametrize("over", [CallEnded("c1", spoken=False), CallBroke("c1", spoken=True)])
def test_a_talk_nobody_here_asked_for_ends_with_its_call(over: Event) -> None:
    state, effects = played(*TALK, over)
    assert state == played()[0]
    assert SendRequest() not in effects


@pytest.mark.parametrize("events", [[CALLS], [CALLS, PRESS], TALK])
def test_who_comes_to_the_bed_ends_it_and_there_is_nothing_to_close(events: list[Event]) -> None:
    state, effects = played(*events, Attend())
    assert state == played()[0]
    assert StopCall() in effects
    assert not any(isinstance(effect, SendClose) for effect in effects)


def test_an_answered_request_stays_what_it_was_while_its_bed_is_called_again() -> None:
    before, _ = played(*ANSWERED)
    called, _ = played(*ANSWERED, SeatCalls("r0"))
    told = open_request(called, now=20.0)
    assert told is not None
    assert (told.request_id, told.phase) == ("r0", Phase.ANSWERED)
    assert played(*ANSWERED, SeatCalls("r0"), SeatStopped())[0] == before
    talking, effects = played(*ANSWERED, SeatCalls("r0"), PRESS, CONNECTED)
    assert (talking.state, talking.presses) == (State.TALKING, 1)
    assert SendRequest() in effects
    over, _ = played(*ANSWERED, SeatCalls("r0"), PRESS, CONNECTED, CallEnded("c1", spoken=False))
    assert (over.state, over.request_id, over.spoken) == (State.ANSWERED, "r0", True)


@pytest.mark.promise("R01")
def test_an_answered_request_whose_second_call_fails_after_a_press_asks_again() -> None:
    state, effects = played(*ANSWERED, SeatCalls("r0"), PRESS, SeatStopped())
    assert (state.state, state.request_id, state.presses, state.asked_at) == (State.UNSENT, "r0", 2, 10.0)
    assert SendRequest() in effects
    answering, _ = played(*ANSWERED, SeatCalls("r0"), PRESS)
    kept = kept_request(answering, now=10.0)
    assert kept is not None
    assert (kept.request_id, kept.phase) == ("r0", Phase.WAITING)


def test_attendance_closes_an_answered_request_that_is_called_about() -> None:
    _, effects = played(*ANSWERED, SeatCalls("r0"), Attend())
    assert effects[:2] == [StopCall(), SendClose("r0", CloseReason.ATTENDED)]
    _, effects = played(*ANSWERED, SeatCalls("r0"), ClosedAtDesk("r0", CloseReason.CLOSED_BY_SEAT))
    assert effects[0] == StopCall()


# -- other buttons than the call button


@pytest.mark.promise("R15")
@pytest.mark.parametrize(
    ("origin", "priority"), [(Origin.BATHROOM, Priority.URGENT), (Origin.STAFF, Priority.EMERGENCY)]
)
def test_cord_and_staff_button_are_urgent_and_only_attendance_closes_them(
    origin: Origin, priority: Priority
) -> None:
    asked, effects = played(Press(10.0, "r1", origin))
    told = open_request(asked, now=10.0)
    assert told is not None
    assert (told.priority, told.origin) == (priority, origin)
    assert SendRequest() in effects
    assert step(asked, Cancel()) == (asked, [Ignored(Cancel(), State.UNSENT)])
    assert step(asked, Attend())[0].state is State.IDLE


def test_of_several_origins_the_most_urgent_counts() -> None:
    presses: list[Event] = [
        Press(10.0, "r1"),
        Press(11.0, "r2", Origin.STAFF),
        Press(12.0, "r3", Origin.BATHROOM),
    ]
    state, _ = played(*presses)
    assert (state.request_id, state.origin, state.presses) == ("r1", Origin.STAFF, 3)


def test_pulling_the_cord_while_a_seat_calls_answers_and_asks() -> None:
    pulled = Press(10.0, "r1", Origin.BATHROOM)
    state, effects = played(CALLS, pulled, CONNECTED)
    assert SendRequest() in effects
    told = open_request(state, now=10.0)
    assert told is not None
    assert (told.request_id, told.origin, told.phase) == ("seat-1", Origin.BATHROOM, Phase.TALKING)
    assert played(CALLS, PRESS, pulled, SeatStopped())[0].origin is Origin.BATHROOM
    assert played(CALLS, pulled, SeatStopped())[0].state is State.UNSENT
    asked, _ = played(*TALK, Press(10.1, "r2", Origin.STAFF))
    assert asked.priority is Priority.EMERGENCY, "no tremor: another button"
