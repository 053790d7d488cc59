"""The request outlives everything but attendance, and the bed never claims more than is known."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiosk.bedside import prompts
from kiosk.bedside.request import TRANSITIONS, step
from kiosk.bedside.request_events import (
    Attend,
    ButtonChanged,
    CallBroke,
    CallConnected,
    CallEnded,
    CallInterrupted,
    CallRestored,
    Cancel,
    ClosedAtDesk,
    Effect,
    Event,
    Held,
    Ignored,
    LampSign,
    Link,
    LinkChanged,
    LocalAlarmed,
    Press,
    Reassure,
    Restored,
    SeatCalls,
    SeatJoins,
    SeatRings,
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
from kiosk.bedside.request_state import RequestState, Rules, open_request, view
from kiosk.signaling.messages import CallType, ClosedRequest, CloseReason, OpenRequest, Phase, Priority

PRESS = Press(10.0, "r1")
TAKEN = Taken("r1")
CONNECTED = CallConnected("c1", "nurse-1", 7)
HELD = Held(OpenRequest(request_id="r0", age=5000, presses=2, spoken=True), 20.0)
RESTORED = Restored(HELD.request, (ClosedRequest(request_id="r9", reason=CloseReason.ATTENDED),), 20.0)
EVENTS: list[Event] = [
    PRESS,
    Cancel(),
    Attend(),
    LinkChanged(Link.UP),
    LinkChanged(Link.DOWN),
    LinkChanged(Link.REFUSED),
    TAKEN,
    Taken("r1", place=2),
    Taken("r1", retry_later=True),
    ClosedAtDesk("r1", CloseReason.CLOSED_BY_SEAT),
    HELD,
    RESTORED,
    LocalAlarmed("r1", True),
    LocalAlarmed("r1", False),
    SeatCalls("r1"),
    Unheard(),
    SeatRings(),
    SeatStopped(),
    CONNECTED,
    CallInterrupted("c1"),
    CallRestored("c1"),
    CallEnded("c1", spoken=True),
    CallBroke("c1", spoken=False),
    SeatJoins("c2", "nurse-2", 8),
    CallConnected("c2", "nurse-2", 8),
    CallInterrupted("c2"),
    CallRestored("c2"),
    CallEnded("c2"),
    CallBroke("c2"),
    ButtonChanged(stuck=True),
    ButtonChanged(stuck=False),
]

PATHS: dict[State, list[Event]] = {
    State.IDLE: [],
    State.CALLED: [SeatCalls("r1")],
    State.ANSWERING: [SeatCalls("r1"), PRESS],
    State.UNSENT: [PRESS],
    State.SENT: [PRESS, TAKEN],
    State.QUEUED: [PRESS, Taken("r1", place=3)],
    State.DEFERRED: [PRESS, Taken("r1", retry_later=True)],
    State.RINGING: [PRESS, TAKEN, SeatRings()],
    State.TALKING: [PRESS, TAKEN, SeatRings(), CONNECTED],
    State.ANSWERED: [PRESS, TAKEN, SeatRings(), CONNECTED, CallEnded("c1", spoken=True)],
}


SEAT_CALLS = (State.CALLED, State.ANSWERING)
"""Here nobody has asked: ``test_request_seat_calls.py``."""
OPEN = [state for state in State if state is not State.IDLE and state not in SEAT_CALLS]


def played(*events: Event, start: RequestState | None = None) -> tuple[RequestState, list[Effect]]:
    state, effects = start or step(RequestState(), LinkChanged(Link.UP))[0], list[Effect]()
    for event in events:
        state, effects = step(state, event)
    return state, effects


@pytest.mark.parametrize("state", State)
def test_every_state_can_be_reached(state: State) -> None:
    assert played(*PATHS[state])[0].state is state


@pytest.mark.parametrize(("state", "event"), list(itertools.product(State, EVENTS)))
def test_every_event_in_every_state_is_defined(state: State, event: Event) -> None:
    before, _ = played(*PATHS[state])
    after, effects = step(before, event)
    if type(event) in TRANSITIONS[state]:
        assert not any(isinstance(effect, Ignored) for effect in effects)
    else:
        assert after == before, "an event without a place in the table must not move the state"
        assert effects == [Ignored(event, state)]


@pytest.mark.promise("R07")
@pytest.mark.parametrize("state", [state for state in State if state not in SEAT_CALLS])
def test_no_press_ever_closes_or_forgets(state: State) -> None:
    before, _ = played(*PATHS[state])
    after, effects = step(before, Press(99.0, "r2"))
    assert after.state is not State.IDLE
    assert SendRequest() in effects
    assert after.request_id == ("r2" if state is State.IDLE else "r1")
    assert after.presses == before.presses + 1


@pytest.mark.promise("R01")
@pytest.mark.parametrize("state", OPEN)
@pytest.mark.parametrize(
    "event",
    [
        SeatStopped(),
        CallEnded("c1", spoken=True),
        CallBroke("c1", spoken=True),
        LinkChanged(Link.DOWN),
        LinkChanged(Link.REFUSED),
        LinkChanged(Link.UP),
        PRESS,
        CONNECTED,
        TAKEN,
        ClosedAtDesk("another", CloseReason.CLOSED_BY_SEAT),
        ButtonChanged(stuck=True),
    ],
)
def test_only_attendance_cancel_or_a_told_close_end_a_request(state: State, event: Event) -> None:
    after, _ = step(played(*PATHS[state])[0], event)
    assert after.state is not State.IDLE
    assert after.request_id == "r1"


@pytest.mark.promise("R01")
@pytest.mark.parametrize("state", OPEN)
def test_attendance_closes_every_request_and_ends_its_call(state: State) -> None:
    after, effects = step(played(*PATHS[state])[0], Attend())
    assert after.state is State.IDLE
    assert effects[:2] == [StopCall(), SendClose("r1", CloseReason.ATTENDED)]
    assert [closed.request_id for closed in after.closed] == ["r1"]


@pytest.mark.promise("R01")
def test_cancel_while_talking_does_not_close() -> None:
    talking, _ = played(*PATHS[State.TALKING])
    assert step(talking, Cancel())[0] == talking


def test_a_cancelled_request_is_kept_until_the_desk_confirms() -> None:
    idle, effects = played(*PATHS[State.QUEUED], Cancel())
    assert SendClose("r1", CloseReason.CANCELLED) in effects
    confirmed, none = step(idle, ClosedAtDesk("r1", CloseReason.CANCELLED))
    assert (confirmed.closed, none) == ((), [])


def test_unconfirmed_closes_are_bounded() -> None:
    state, _ = played()
    for number in range(40):
        state, _ = played(Press(1.0, f"r{number}"), Cancel(), start=state)
    assert [closed.request_id for closed in state.closed] == [f"r{number}" for number in range(8, 40)]


def test_a_seat_may_close_and_the_call_ends_with_it() -> None:
    idle, effects = played(*PATHS[State.TALKING], ClosedAtDesk("r1", CloseReason.CLOSED_BY_SEAT))
    assert idle.state is State.IDLE
    assert effects == [StopCall(), Show(View(LampSign.OFF, "ready"))]


@pytest.mark.promise("R07")
def test_a_press_lights_the_lamp_before_anything_else_is_known() -> None:
    for link in Link:
        idle, _ = step(RequestState(), LinkChanged(link))
        after, effects = step(idle, PRESS)
        assert view(after).lamp is LampSign.HEARD
        assert effects == [SendRequest(), Show(view(after))]


@pytest.mark.promise("R07")
def test_pressing_again_reassures_in_words() -> None:
    sent, _ = played(*PATHS[State.SENT])
    after, effects = step(sent, PRESS)
    assert effects == [SendRequest(), Reassure(view(after))]


def test_pressing_again_and_again_raises_urgency_but_never_lowers_it() -> None:
    state, _ = played(PRESS, PRESS)
    assert state.priority is Priority.NORMAL
    state, _ = played(PRESS, start=state)
    assert state.priority is Priority.URGENT
    never = RequestState(rules=Rules(urgent_after_presses=0))
    assert played(*[PRESS] * 10, start=never)[0].priority is Priority.NORMAL
    emergency = RequestState(rules=Rules(priority=Priority.EMERGENCY))
    assert played(*[PRESS] * 10, start=emergency)[0].priority is Priority.EMERGENCY


@pytest.mark.promise("R04")
@given(st.lists(st.sampled_from(EVENTS), max_size=30))
def test_the_bed_never_claims_more_than_the_desk_has_said(events: list[Event]) -> None:
    """ "Sent" and beyond only while the link is up and the desk has acknowledged this very request."""
    state, acknowledged, connected = RequestState(), False, False
    for event in events:
        before = state
        state, _ = step(state, event)
        told_now = isinstance(event, Taken | SeatRings | Held | CallConnected)
        if before.state is State.IDLE or isinstance(event, LinkChanged):
            acknowledged = False
        if told_now:
            acknowledged = True
        connected = state.state is State.TALKING
        shown = view(state)
        if shown.prompt in ("sent", "queued", "deferred", "ringing"):
            assert acknowledged
        assert (shown.prompt in ("talking", "talking_with_several", "interrupted")) == connected
        through = [talk.call_id for talk in state.talks if talk.through]
        assert (shown.prompt == "interrupted") == (connected and not through)
        assert (shown.prompt == "talking_with_several") == (len(through) > 1)
        assert connected == bool(state.talks), "a talk is with somebody"
        if state.state is State.UNSENT and state.link is not Link.UP:
            assert shown.prompt == "use_other_bell"
        assert (shown.lamp is LampSign.OFF) == (state.state is State.IDLE)


def test_nobody_is_asked_to_press_a_button_that_is_stuck() -> None:
    stuck, _ = played(PRESS, ButtonChanged(stuck=True))
    assert view(stuck).prompt == "heard", "its press has asked for help"
    idle, effects = played(Attend(), start=stuck)
    assert view(idle) == View(LampSign.OFF, "button_stuck")
    for link in Link:
        assert view(played(LinkChanged(link), start=idle)[0]).prompt == "button_stuck"
    _, effects = played(ButtonChanged(stuck=False), start=idle)
    assert effects == [Show(View(LampSign.OFF, "ready"))]


@pytest.mark.promise("R04")
def test_a_lost_link_takes_back_what_was_claimed() -> None:
    for state in (State.SENT, State.QUEUED, State.DEFERRED, State.RINGING):
        after, effects = played(*PATHS[state], LinkChanged(Link.DOWN))
        assert after.state is State.UNSENT
        assert effects == [Show(View(LampSign.HEARD, "use_other_bell"))]


def test_a_talk_and_what_the_nurse_knows_outlive_the_link() -> None:
    for state in (State.TALKING, State.ANSWERED):
        assert played(*PATHS[state], LinkChanged(Link.DOWN))[0].state is state


def test_after_a_broken_call_the_request_is_told_anew_and_nothing_is_claimed() -> None:
    state, effects = played(*PATHS[State.TALKING], CallBroke("c1", spoken=True))
    assert (state.state, state.spoken, state.talks) == (State.UNSENT, True, ())
    assert effects == [SendRequest(), Show(View(LampSign.HEARD, "heard"))]


def test_the_queue_place_is_shown_as_told() -> None:
    state, _ = played(PRESS, Taken("r1", place=3))
    assert view(state) == View(LampSign.WAITING, "queued", 3)
    assert "3" in prompts.words(view(state), "en")
    assert "3" in prompts.words(view(state), "zh")
    moved, effects = step(state, Taken("r1", place=2))
    assert effects == [Show(View(LampSign.WAITING, "queued", 2))]
    ringing, _ = step(moved, SeatRings())
    assert view(ringing).place == 0


def test_a_forgotten_request_is_taken_back() -> None:
    state, effects = played(HELD)
    assert (state.state, state.request_id, state.presses, state.opened_at) == (State.UNSENT, "r0", 2, 15.0)
    assert effects == [SendRequest(), Show(View(LampSign.HEARD, "heard"))], "meanwhile the desk may have let it go"
    answered = replace(HELD, request=OpenRequest(request_id="r0", age=0, phase=Phase.ANSWERED))
    assert played(answered)[0].state is State.ANSWERED


def test_the_wire_hears_the_whole_truth() -> None:
    state, _ = played(*PATHS[State.TALKING])
    assert open_request(state, now=12.5) == OpenRequest(
        request_id="r1",
        age=2500,
        call_type=CallType.VIDEO,
        phase=Phase.TALKING,
        call_id="c1",
        call_seat="nurse-1",
        fence=7,
    )
    assert open_request(RequestState(), now=1.0) is None
    answered, _ = played(*PATHS[State.ANSWERED])
    told = open_request(answered, now=12.5)
    assert told is not None
    assert (told.phase, told.spoken, told.call_id) == (Phase.ANSWERED, True, None)


def test_every_prompt_has_words_in_both_languages() -> None:
    used = {view(played(*PATHS[state])[0]).prompt for state in State}
    used.add(view(played(*PATHS[State.TALKING], CallInterrupted("c1"))[0]).prompt)
    used.add(view(played(SeatCalls("c1", by_itself=True))[0]).prompt)
    used |= {
        "talking_with_several",
        "heard",
        "use_other_bell",
        "no_link",
        "not_registered",
        "button_stuck",
        "alarm",
    }
    assert used == set(prompts.PROMPTS)
    assert all(set(texts) == {"zh", "en"} and all(texts.values()) for texts in prompts.PROMPTS.values())
    refused, _ = step(RequestState(), LinkChanged(Link.REFUSED))
    assert view(refused).prompt == "not_registered"


def test_an_interrupted_talk_is_not_called_connected() -> None:
    interrupted, effects = played(*PATHS[State.TALKING], CallInterrupted("c1"))
    assert effects == [Show(View(LampSign.WAITING, "interrupted"))]
    assert interrupted.state is State.TALKING, "the request is still with its seat"
    assert played(CallRestored("c1"), start=interrupted)[1] == [Show(View(LampSign.TALKING, "talking"))]
    for end in (CallEnded("c1", spoken=True), CallBroke("c1", spoken=True), Attend()):
        over, _ = played(end, start=interrupted)
        assert not over.talks, "the next talk begins whole"


# -- nobody has come


ALARM = LocalAlarmed("r1", True)


@pytest.mark.parametrize("state", [State.UNSENT, State.SENT, State.QUEUED, State.DEFERRED, State.RINGING])
def test_when_nobody_has_come_for_too_long_the_bed_says_so(state: State) -> None:
    request, effects = step(replace(played(*PATHS[state])[0], link=Link.UP), ALARM)
    assert (request.state, request.alarm) == (state, True)
    assert view(request).prompt == "alarm"
    assert effects == [Show(view(request))]
    over, _ = step(request, LocalAlarmed("r1", False))
    assert view(over).prompt != "alarm"


def test_a_press_during_the_alarm_repeats_its_words() -> None:
    request, effects = played(PRESS, LinkChanged(Link.UP), TAKEN, ALARM, Press(99.0, "unused"))
    assert effects[-1] == Reassure(view(request))
    assert view(request).prompt == "alarm"


def test_a_lost_link_does_not_end_the_alarm() -> None:
    request, _ = played(PRESS, LinkChanged(Link.UP), TAKEN, ALARM, LinkChanged(Link.DOWN))
    assert (request.alarm, view(request).prompt) == (True, "use_other_bell")
    request, _ = step(request, LinkChanged(Link.UP))
    assert view(request).prompt == "alarm"


@pytest.mark.parametrize("end", [CONNECTED, Attend(), Cancel(), ClosedAtDesk("r1", CloseReason.CLOSED_BY_SEAT)])
def test_an_answer_or_a_close_ends_the_alarm(end: Event) -> None:
    request, _ = played(PRESS, LinkChanged(Link.UP), TAKEN, ALARM, end)
    assert not request.alarm


def test_an_alarm_for_another_request_or_for_one_that_is_answered_changes_nothing() -> None:
    waiting, _ = played(PRESS, LinkChanged(Link.UP), TAKEN)
    for request, event in (
        (waiting, LocalAlarmed("r0", True)),
        (played(*PATHS[State.TALKING])[0], ALARM),
        (played(*PATHS[State.ANSWERED])[0], ALARM),
        (RequestState(), ALARM),
    ):
        after, effects = step(request, event)
        assert after is request
        assert effects == [Ignored(event, request.state)]


def test_how_long_nobody_has_answered_is_told_from_the_press_that_asked_again() -> None:
    asked_again, _ = played(*PATHS[State.ANSWERED], Press(110.0, "unused"), Press(112.0, "unused"))
    told = open_request(asked_again, now=115.0)
    assert told is not None
    assert (told.age, told.waited) == (105_000, 5_000)
    given_back, _ = played(Held(told, 200.0))
    again = open_request(given_back, now=201.0)
    assert again is not None
    assert (again.age, again.waited) == (106_000, 6_000)


def test_a_request_older_than_the_bed_that_starts_has_waited_since_its_first_press() -> None:
    restored, _ = played(Restored(OpenRequest(request_id="r0", age=60_000), (), 20.0), start=RequestState())
    told = open_request(restored, now=25.0)
    assert told is not None
    assert (told.age, told.waited) == (65_000, None)
