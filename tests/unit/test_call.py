"""One call: TUICalling's words and guards, and an end for every wait."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiosk.bedside.call import TRANSITIONS, step
from kiosk.bedside.call_events import (
    Accept,
    Accepted,
    Answered,
    Call,
    Cancel,
    CandidateFound,
    Effect,
    Emit,
    Ended,
    Event,
    Hangup,
    Ignored,
    Invited,
    KickedOut,
    Kind,
    LinkDown,
    MediaDown,
    MediaStalled,
    MediaUp,
    Offered,
    PeerMedia,
    Ringing,
    SendCancel,
    SendFailed,
    SendHangup,
    SendInvite,
    Spoken,
    State,
    SwitchToAudio,
    TimedOut,
    Unheard,
)
from kiosk.bedside.call_state import CONNECT_TIMEOUT_S, ENDINGS, RING_GUARD_S, CallState
from kiosk.bedside.media_effects import (
    AddCandidate,
    ApplyAnswer,
    CloseMedia,
    OpenGate,
    OpenMedia,
    StartRing,
    StartTimer,
    StopRing,
    StopTimer,
    StopVideo,
    Timer,
    WatchMedia,
)
from kiosk.signaling.messages import CallType, EndReason

CALL = Call("c1", "nurse-1", 7, CallType.VIDEO)
INVITED = Invited("c1", "nurse-1", 7, CallType.VIDEO)
ACCEPTED = Accepted("c1", CallType.VIDEO, 20.0)
MEDIA_UP = MediaUp("c1", 15.0)

PATHS: dict[State, list[Event]] = {
    State.IDLE: [],
    State.INVITED: [INVITED],
    State.CALLING: [CALL],
    State.CONNECTING: [CALL, ACCEPTED],
    State.CONNECTED: [CALL, MEDIA_UP, ACCEPTED],
    State.REBUILDING: [CALL, MEDIA_UP, ACCEPTED, MediaStalled("c1", "nothing comes", 25.0)],
}
BEGUN = (State.CONNECTED, State.REBUILDING)


def current(call: CallState, event: Event) -> Event:
    """*event*, if it is about a connection, said of the one the call has now."""
    if isinstance(event, Offered | Answered | CandidateFound | MediaUp | MediaDown | MediaStalled):
        return replace(event, connection=call.connection)
    return event


def events(call_id: str) -> list[Event]:
    return [
        Call(call_id, "nurse-2", 8, CallType.AUDIO),
        Invited(call_id, "nurse-2", 8, CallType.AUDIO),
        Accept(),
        Unheard(),
        Offered(call_id, "v=0"),
        Ringing(call_id),
        Answered(call_id, "v=0"),
        CandidateFound(call_id, "candidate:1"),
        Accepted(call_id, CallType.VIDEO, 20.0),
        *[Ended(call_id, reason, 30.0) for reason in EndReason],
        Cancel(),
        Hangup(30.0),
        MediaUp(call_id, 21.0),
        MediaDown(call_id, "ICE failed", 30.0),
        MediaStalled(call_id, "nothing comes", 30.0),
        Spoken(call_id),
        PeerMedia(call_id, audio=True, video=False),
        SwitchToAudio(call_id),
        LinkDown(),
        KickedOut(30.0),
        TimedOut(call_id, Timer.RING, 30.0),
        TimedOut(call_id, Timer.CONNECT, 30.0),
        TimedOut(call_id, Timer.REBUILD, 30.0),
    ]


UNADDRESSED = (Accept, Unheard, Cancel, Hangup, LinkDown, KickedOut)


def played(*seen: Event) -> tuple[CallState, list[Effect]]:
    state, effects = CallState(), list[Effect]()
    for event in seen:
        state, effects = step(state, event)
    return state, effects


def emitted(effects: list[Effect]) -> list[Kind]:
    return [effect.kind for effect in effects if isinstance(effect, Emit)]


@pytest.mark.parametrize(("state", "event"), list(itertools.product(State, events("c1"))))
def test_every_event_in_every_state_is_defined(state: State, event: Event) -> None:
    before, _ = played(*PATHS[state])
    event = current(before, event)
    after, effects = step(before, event)
    wrong_timer = isinstance(event, TimedOut) and (state, event.timer) not in (
        (State.INVITED, Timer.RING),
        (State.CALLING, Timer.RING),
        (State.CONNECTING, Timer.CONNECT),
        (State.REBUILDING, Timer.REBUILD),
    )
    if type(event) in TRANSITIONS[state] and not wrong_timer:
        assert not any(isinstance(effect, Ignored) for effect in effects)
    else:
        assert after == before, "an event without a place in the table must not move the state"
        assert effects[-1] == Ignored(event, state)


@pytest.mark.parametrize("state", [State.INVITED, State.CALLING, State.CONNECTING, *BEGUN])
@pytest.mark.parametrize("event", [event for event in events("old") if not isinstance(event, UNADDRESSED)])
def test_what_is_said_of_another_call_moves_nothing(state: State, event: Event) -> None:
    before, _ = played(*PATHS[state])
    after, effects = step(before, event)
    assert after == before
    assert effects == [Ignored(event, state)]


@pytest.mark.parametrize(
    ("state", "event"),
    [
        (state, event)
        for state in (State.INVITED, State.CALLING, State.CONNECTING, *BEGUN)
        for event in events("c1")
        if step(played(*PATHS[state])[0], event)[0].state is State.IDLE
    ],
)
def test_every_end_closes_the_media_and_is_told_exactly_once(state: State, event: Event) -> None:
    before, _ = played(*PATHS[state])
    after, effects = step(before, event)
    assert after == CallState()
    assert effects.count(CloseMedia("c1")) == 1
    told = emitted(effects)
    assert len(told) == 1
    assert told[0] in (ENDINGS if state not in BEGUN else {Kind.END})


def test_an_allocation_opens_the_media_and_starts_the_ring_guard() -> None:
    state, effects = played(Call("c1", "nurse-1", 7, CallType.VIDEO, ring_s=12.0))
    assert state.state is State.CALLING
    assert effects == [
        StartTimer("c1", Timer.RING, 12.0 + RING_GUARD_S),
        OpenMedia("c1", CallType.VIDEO),
    ]


def test_the_offer_travels_with_the_invitation() -> None:
    _, effects = played(CALL, Offered("c1", "offer"))
    assert effects == [SendInvite("c1", 7, CallType.VIDEO, "offer")]


def test_answer_and_candidates_are_taken_while_the_seat_still_rings() -> None:
    assert played(CALL, Answered("c1", "answer"))[1] == [ApplyAnswer("c1", "answer")]
    found = CandidateFound("c1", "candidate:1", "0", 0)
    assert played(CALL, found)[1] == [AddCandidate("c1", "candidate:1", "0", 0)]


def test_the_gate_opens_on_accept_and_never_before() -> None:
    before_accept: list[Event] = [CALL, Offered("c1", "o"), Ringing("c1"), Answered("c1", "a"), MEDIA_UP]
    for length in range(1, len(before_accept) + 1):
        assert not any(isinstance(effect, OpenGate) for effect in played(*before_accept[:length])[1])
    state, effects = played(*before_accept, ACCEPTED)
    assert effects[0] == OpenGate("c1", CallType.VIDEO)
    assert state.state is State.CONNECTED
    assert emitted(effects) == [Kind.ACCEPTED, Kind.BEGIN]


def test_nobody_speaks_until_media_flow() -> None:
    state, effects = played(CALL, ACCEPTED)
    assert state.state is State.CONNECTING
    assert effects == [
        OpenGate("c1", CallType.VIDEO),
        Emit(Kind.ACCEPTED, "c1", "nurse-1"),
        StartTimer("c1", Timer.CONNECT, CONNECT_TIMEOUT_S),
    ]
    state, effects = step(state, MEDIA_UP)
    assert state.state is State.CONNECTED
    assert effects == [StopTimer("c1"), WatchMedia("c1", False), Emit(Kind.BEGIN, "c1", "nurse-1")]


def test_a_seat_may_take_a_video_call_as_audio() -> None:
    state, effects = played(CALL, Accepted("c1", CallType.AUDIO, 20.0))
    assert (state.call_type, effects[0]) == (CallType.AUDIO, OpenGate("c1", CallType.AUDIO))


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        (EndReason.REJECTED, Kind.REJECTED),
        (EndReason.LINE_BUSY, Kind.LINE_BUSY),
        (EndReason.NO_RESPONSE, Kind.NO_RESPONSE),
        (EndReason.CANCELLED, Kind.CANCELLED),
        (EndReason.SEAT_LOST, Kind.CANCELLED),
    ],
)
def test_an_unaccepted_call_ends_in_tuicallings_words(reason: EndReason, kind: Kind) -> None:
    _, effects = played(CALL, Ended("c1", reason, 30.0))
    assert effects == [
        StopTimer("c1"),
        CloseMedia("c1"),
        Emit(kind, "c1", "nurse-1", why=reason.value),
    ]


def test_the_end_tells_how_long_the_call_was_and_whether_a_person_ended_it() -> None:
    _, effects = played(*PATHS[State.CONNECTED], Ended("c1", EndReason.HANGUP, 32.5))
    assert effects[-1] == Emit(Kind.END, "c1", "nurse-1", duration=12.5, why="hangup")
    _, effects = played(*PATHS[State.CONNECTED], Ended("c1", EndReason.SEAT_LOST, 32.5))
    assert isinstance(effects[-1], Emit)
    assert effects[-1].broken
    _, effects = played(*PATHS[State.CONNECTED], Hangup(25.0))
    assert effects[0] == SendHangup("c1")
    assert effects[-1] == Emit(Kind.END, "c1", "nurse-1", duration=5.0, why="by the bed")


def test_a_hang_up_while_calling_is_told_as_one_since_the_seat_may_have_accepted() -> None:
    assert played(CALL, Hangup(11.0))[1][0] == SendHangup("c1")
    assert played(CALL, Cancel())[1][0] == SendCancel("c1")
    assert played(CALL, ACCEPTED, Hangup(21.0))[1][0] == SendHangup("c1")


@pytest.mark.parametrize(
    "end", [Hangup(30.0), MediaDown("c1", "ICE failed", 30.0), Ended("c1", EndReason.HANGUP, 30.0)]
)
def test_that_speech_has_flowed_is_told_with_the_end(end: Event) -> None:
    _, effects = played(*PATHS[State.CONNECTED], Spoken("c1"), end)
    told = [effect for effect in effects if isinstance(effect, SendHangup | SendFailed | Emit)]
    assert told
    assert all(effect.spoken for effect in told)
    _, effects = played(*PATHS[State.CONNECTED], end)
    assert not any(effect.spoken for effect in effects if isinstance(effect, SendHangup | SendFailed | Emit))


def test_a_failed_connection_is_told_to_the_desk() -> None:
    for path in (PATHS[State.CALLING], PATHS[State.CONNECTING], PATHS[State.CONNECTED]):
        assert played(*path, MediaDown("c1", "ICE failed", 30.0))[1][0] == SendFailed("c1", "ICE failed")


def test_waits_have_an_end() -> None:
    _, effects = played(CALL, TimedOut("c1", Timer.RING, 45.0))
    assert effects[0] == SendFailed("c1", "no response"), (
        "the desk would ignore a cancel that crosses with the accept"
    )
    assert emitted(effects) == [Kind.NO_RESPONSE]
    _, effects = played(CALL, ACCEPTED, TimedOut("c1", Timer.CONNECT, 30.0))
    assert isinstance(effects[0], SendFailed)
    assert emitted(effects) == [Kind.ERROR]


def test_a_lost_desk_ends_a_ringing_and_spares_a_talk() -> None:
    assert played(CALL, LinkDown())[0].state is State.IDLE
    assert played(CALL, ACCEPTED, LinkDown())[0].state is State.IDLE
    talking, effects = played(*PATHS[State.CONNECTED], LinkDown())
    assert (talking.state, effects) == (State.CONNECTED, [])


def test_remote_audio_and_video_on_and_off_are_told_when_they_change() -> None:
    state, effects = played(*PATHS[State.CONNECTED], PeerMedia("c1", audio=True, video=True))
    assert effects == [
        WatchMedia("c1", True),
        Emit(Kind.AUDIO, "c1", "nurse-1", available=True),
        Emit(Kind.VIDEO, "c1", "nurse-1", available=True),
    ]
    state, effects = step(state, PeerMedia("c1", audio=True, video=True))
    assert effects == []
    muted = PeerMedia("c1", audio=False, video=True, steady=True)
    assert step(state, muted)[1] == [Emit(Kind.AUDIO, "c1", "nurse-1")]


def test_video_goes_on_as_audio_once() -> None:
    state, effects = played(*PATHS[State.CONNECTED], SwitchToAudio("c1"))
    assert state.call_type is CallType.AUDIO
    assert effects == [StopVideo("c1"), Emit(Kind.MEDIA_TYPE, "c1", "nurse-1")]
    assert step(state, SwitchToAudio("c1")) == (state, [])


def test_media_reported_twice_do_no_harm() -> None:
    connected, _ = played(*PATHS[State.CONNECTED])
    assert step(connected, MediaUp("c1", 22.0)) == (connected, [])


@given(st.lists(st.sampled_from([*events("c1"), *events("c2"), CALL]), max_size=40))
def test_no_history_leaves_media_open_or_a_call_without_an_end(history: list[Event]) -> None:
    state, opened, closed, begun, ended = CallState(), 0, 0, 0, 0
    for event in history:
        state, effects = step(state, current(state, event))
        opened += sum(isinstance(effect, StartRing | OpenMedia) for effect in effects)
        opened -= sum(isinstance(effect, StopRing) for effect in effects)
        closed += sum(isinstance(effect, CloseMedia) for effect in effects)
        begun += emitted(effects).count(Kind.BEGIN)
        ended += emitted(effects).count(Kind.END)
        assert opened - closed == (state.state is not State.IDLE)
        assert begun - ended == (state.state in BEGUN)
