"""A seat calls: nothing is captured before light and ring, and the facility's rule says who answers."""

from __future__ import annotations

import pytest

from kiosk.bedside.call import step
from kiosk.bedside.call_events import (
    Accept,
    Accepted,
    Effect,
    Emit,
    Ended,
    Event,
    Invited,
    Kind,
    LinkDown,
    MediaUp,
    Offered,
    SendCancel,
    SendInvite,
    SendReject,
    SendRinging,
    State,
    TimedOut,
    Unheard,
)
from kiosk.bedside.call_events import (
    Cancel as Decline,
)
from kiosk.bedside.call_state import RING_GUARD_S, CallState
from kiosk.bedside.media_effects import (
    CloseMedia,
    OpenGate,
    OpenMedia,
    StartRing,
    StartTimer,
    StopRing,
    Timer,
)
from kiosk.signaling.messages import CallType, EndReason

pytestmark = pytest.mark.promise("R06")

INVITED = Invited("c1", "nurse-1", 7, CallType.AUDIO, ring_s=20.0)
BY_ITSELF = Invited("c1", "nurse-1", 7, CallType.AUDIO, ring_s=20.0, answer_s=6.0)
RING_TIMER = StartTimer("c1", Timer.RING, 20.0 + RING_GUARD_S)


def played(*seen: Event) -> tuple[CallState, list[Effect]]:
    state, effects = CallState(), list[Effect]()
    for event in seen:
        state, effects = step(state, event)
    return state, effects


def test_the_ring_is_on_before_the_seat_is_told_and_nothing_is_opened() -> None:
    state, effects = played(INVITED)
    assert state.state is State.INVITED
    assert effects == [
        RING_TIMER,
        StartRing("c1"),
        SendRinging("c1"),
        Emit(Kind.RECEIVED, "c1", "nurse-1"),
    ]


def test_the_patients_answer_makes_it_a_call_like_any_other() -> None:
    state, effects = played(INVITED, Accept())
    assert state.state is State.CALLING
    assert effects == [StopRing("c1"), RING_TIMER, OpenMedia("c1", CallType.AUDIO)]
    assert played(INVITED, Accept(), Offered("c1", "offer"))[1] == [SendInvite("c1", 7, CallType.AUDIO, "offer")]
    talk: list[Event] = [INVITED, Accept(), MediaUp("c1", 15.0), Accepted("c1", CallType.AUDIO, 20.0)]
    state, effects = played(*talk)
    assert state.state is State.CONNECTED
    assert effects[0] == OpenGate("c1", CallType.AUDIO)


def test_a_bed_answers_by_itself_only_after_it_has_rung_for_the_facilitys_time() -> None:
    _, effects = played(BY_ITSELF)
    assert effects[:2] == [StartTimer("c1", Timer.ANSWER, 6.0), StartRing("c1")]
    ignored, _ = played(INVITED, TimedOut("c1", Timer.ANSWER, 30.0))
    assert ignored == played(INVITED)[0], "where the patient answers, time answers nothing"
    state, effects = played(BY_ITSELF, TimedOut("c1", Timer.ANSWER, 30.0))
    assert state.state is State.CALLING
    assert effects == [StopRing("c1"), RING_TIMER, OpenMedia("c1", CallType.AUDIO)]


def test_a_bed_that_cannot_be_heard_leaves_the_answer_to_the_patient() -> None:
    state, effects = played(BY_ITSELF, Unheard())
    assert effects == [RING_TIMER]
    assert step(state, TimedOut("c1", Timer.ANSWER, 30.0))[0] == state
    assert step(state, Unheard()) == (state, [])


@pytest.mark.parametrize(
    ("over", "told", "kind"),
    [
        (Decline(), [SendReject("c1")], Kind.CANCELLED),
        (TimedOut("c1", Timer.RING, 60.0), [SendCancel("c1")], Kind.NO_RESPONSE),
        (Ended("c1", EndReason.CANCELLED, 60.0), [], Kind.CANCELLED),
        (LinkDown(), [], Kind.ERROR),
    ],
)
def test_a_ring_has_an_end_and_leaves_nothing_open(over: Event, told: list[Effect], kind: Kind) -> None:
    state, effects = played(INVITED, over)
    assert state == CallState()
    assert effects[: len(told)] == told
    assert CloseMedia("c1") in effects
    assert isinstance(effects[-1], Emit)
    assert effects[-1].kind is kind
