"""A talk whose media path is dead: rebuilt with the same seat, a few times at most, and never called connected."""

from __future__ import annotations

import pytest

from kiosk.bedside.call import step
from kiosk.bedside.call_events import (
    Accepted,
    Answered,
    Call,
    CandidateFound,
    Effect,
    Emit,
    Ended,
    Event,
    Hangup,
    Ignored,
    Kind,
    LinkDown,
    MediaDown,
    MediaStalled,
    MediaUp,
    Offered,
    PeerMedia,
    SendFailed,
    SendHangup,
    SendRebuild,
    Spoken,
    State,
    SwitchToAudio,
    TimedOut,
)
from kiosk.bedside.call_state import REBUILD_TIMEOUT_S, REBUILD_TRIES, STEADY_S, CallState
from kiosk.bedside.media_effects import (
    AddCandidate,
    ApplyAnswer,
    CloseMedia,
    OpenGate,
    RebuildMedia,
    StartTimer,
    StopTimer,
    Timer,
    WatchMedia,
)
from kiosk.signaling.messages import CallType, EndReason

pytestmark = pytest.mark.promise("R10")

TALK: list[Event] = [
    Call("c1", "nurse-1", 7, CallType.VIDEO),
    MediaUp("c1", 15.0),
    Accepted("c1", CallType.VIDEO, 20.0),
]
STALL = MediaStalled("c1", "nothing comes", 60.0)
REBUILD_TIMER = StartTimer("c1", Timer.REBUILD, REBUILD_TIMEOUT_S)


def played(*seen: Event) -> tuple[CallState, list[Effect]]:
    state, effects = CallState(), list[Effect]()
    for event in [*TALK, *seen]:
        state, effects = step(state, event)
    return state, effects


def ran_out(at: float) -> TimedOut:
    return TimedOut("c1", Timer.REBUILD, at)


def test_a_stalled_talk_is_rebuilt_with_the_same_seat_behind_an_open_gate() -> None:
    state, effects = played(STALL)
    assert (state.state, state.seat, state.connection) == (State.REBUILDING, "nurse-1", 1)
    assert effects == [
        Emit(Kind.INTERRUPTED, "c1", "nurse-1", why="nothing comes"),
        REBUILD_TIMER,
        RebuildMedia("c1", 1, CallType.VIDEO),
        OpenGate("c1", CallType.VIDEO),
    ]


def test_the_new_offer_travels_and_its_answer_and_candidates_are_taken() -> None:
    assert played(STALL, Offered("c1", "offer", 1))[1] == [SendRebuild("c1", 1, "offer")]
    assert played(STALL, Answered("c1", "answer", 1))[1] == [ApplyAnswer("c1", "answer")]
    found = CandidateFound("c1", "candidate:1", "0", 0, connection=1)
    assert played(STALL, found)[1] == [AddCandidate("c1", "candidate:1", "0", 0)]


def test_a_talk_goes_on_when_the_new_connection_is_up() -> None:
    state, effects = played(STALL, MediaUp("c1", 62.0, 1))
    assert state.state is State.CONNECTED
    assert effects == [StopTimer("c1"), WatchMedia("c1", False), Emit(Kind.RESTORED, "c1", "nurse-1")]


@pytest.mark.parametrize(
    "late",
    [
        Offered("c1", "offer"),
        Answered("c1", "answer"),
        CandidateFound("c1", "candidate:1"),
        MediaUp("c1", 61.0),
        MediaDown("c1", "closed", 61.0),
        MediaStalled("c1", "nothing comes", 61.0),
    ],
)
@pytest.mark.parametrize("path", [[STALL], [STALL, MediaUp("c1", 62.0, 1)]], ids=["rebuilding", "rebuilt"])
def test_what_the_old_connection_says_late_disturbs_nothing(path: list[Event], late: Event) -> None:
    before, _ = played(*path)
    assert step(before, late) == (before, [Ignored(late, before.state)])


def test_a_try_that_fails_or_takes_too_long_is_followed_by_the_next() -> None:
    for failed in (ran_out(65.0), MediaDown("c1", "no path", 61.0, 1)):
        state, effects = played(STALL, failed)
        assert (state.state, state.connection) == (State.REBUILDING, 2)
        assert effects == [REBUILD_TIMER, RebuildMedia("c1", 2, CallType.VIDEO), OpenGate("c1", CallType.VIDEO)]


def test_after_the_last_try_the_call_has_failed_and_the_desk_is_told() -> None:
    assert REBUILD_TRIES == 2
    state, effects = played(Spoken("c1"), STALL, ran_out(65.0), ran_out(70.0))
    why = "no media path within 5 s"
    assert state == CallState()
    assert effects == [
        SendFailed("c1", why, spoken=True),
        StopTimer("c1"),
        CloseMedia("c1"),
        Emit(Kind.END, "c1", "nurse-1", duration=50.0, why=why, broken=True, spoken=True),
    ]


def test_a_path_that_dies_again_at_once_goes_on_counting() -> None:
    flapping: list[Event] = [
        STALL,
        MediaUp("c1", 62.0, 1),
        MediaStalled("c1", "w", 65.0, 1),
        MediaUp("c1", 67.0, 2),
    ]
    assert played(*flapping)[0].state is State.CONNECTED
    state, effects = played(*flapping, MediaStalled("c1", "w", 67.0 + STEADY_S - 1, 2))
    assert state.state is State.IDLE
    assert effects[0] == SendFailed("c1", "w")
    state, _ = played(*flapping, MediaStalled("c1", "w", 67.0 + STEADY_S, 2))
    assert (state.state, state.connection, state.tries) == (State.REBUILDING, 3, 1)


@pytest.mark.parametrize(
    ("end", "first"),
    [
        (Hangup(62.0), SendHangup("c1")),
        (Ended("c1", EndReason.HANGUP, 62.0), StopTimer("c1")),
        (Ended("c1", EndReason.SEAT_LOST, 62.0), StopTimer("c1")),
    ],
)
def test_an_interrupted_talk_may_be_ended_as_any_other(end: Event, first: Effect) -> None:
    state, effects = played(STALL, end)
    assert state == CallState()
    assert effects[0] == first
    assert isinstance(effects[-1], Emit)
    assert effects[-1].kind is Kind.END


def test_a_lost_desk_does_not_end_an_interrupted_talk() -> None:
    state, effects = played(STALL, LinkDown())
    assert (state.state, effects) == (State.REBUILDING, [])


def test_a_talk_is_watched_as_its_seat_says_it_sends() -> None:
    assert WatchMedia("c1", False) in played()[1]
    sends = PeerMedia("c1", audio=True, video=False)
    assert WatchMedia("c1", True) in played(sends)[1]
    muted = PeerMedia("c1", audio=False, video=False, steady=True)
    assert not any(isinstance(effect, WatchMedia) for effect in played(sends, muted)[1]), "silence is sent too"
    assert WatchMedia("c1", False) in played(sends, PeerMedia("c1", audio=False, video=False))[1]


def test_what_the_seat_says_during_a_rebuild_counts_for_the_new_connection() -> None:
    state, effects = played(STALL, PeerMedia("c1", audio=True, video=False))
    assert effects == [Emit(Kind.AUDIO, "c1", "nurse-1", available=True)]
    assert WatchMedia("c1", True) in step(state, MediaUp("c1", 62.0, 1))[1]


def test_a_talk_that_went_on_without_pictures_is_rebuilt_without_them() -> None:
    assert RebuildMedia("c1", 1, CallType.AUDIO) in played(SwitchToAudio("c1"), STALL)[1]
