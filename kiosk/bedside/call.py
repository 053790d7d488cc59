"""One call: the media connection the bed makes with the seat it was allocated.

Pure: time is an argument (monotonic seconds). The request lives in ``request.py``; nothing here closes it.

Theory of operation
===================

The desk allocates a seat; the kiosk opens its media behind a closed gate and invites the seat with its SDP
offer. While the seat rings, ICE and DTLS complete. Accept opens the gate: from then on camera and microphone
leave. The words and guards are TUICalling's: ``call`` only when idle, ``cancel`` only while calling, ``hangup``
while calling or connected. ``CONNECTING`` is TUICalling's *connected* before media flow: accepted, but nobody is
told "a nurse is speaking" yet.

Rule 1. One run of this machine is the call with one seat. How many run at once is not decided here (``bed.py``).

Rule 2. Everything said of another call than this one is ignored: late answers, stale accepts, double hang-ups. What
may cross with the accept is told as a hang-up or a failure: the desk ignores a ``cancel`` of an accepted call.

Rule 3. Every wait has an end: the invitation ``RING_GUARD_S`` (the desk's own time-out comes first), the
connection after accept ``CONNECT_TIMEOUT_S``.

Rule 4. Losing the desk ends a call that is not connected yet (nobody could say accept any more), and leaves a
connected one alone: media go directly.

Rule 5. A connected call whose media path is dead (:class:`MediaStalled`, from either end) is rebuilt with the same
seat: a new connection is offered, ``REBUILD_TRIES`` times at most, each with its time-out. Meanwhile nobody is
"connected". Each connection of a call has a number; what is said of an older one is ignored. A path that dies again
before it was steady for ``STEADY_S`` goes on counting its tries, so that this ends too.

Rule 6. A seat may call the bed (``INVITED``). Light and sound come first, and nothing is captured or opened until
the patient answers, or, where the facility lets the bed answer by itself, until it has rung for its time and can be
heard. From the answer on it is a call like any other: the bed opens its media and invites the seat that called.

Rule 7. Each call tells its story in TUICalling's events (:class:`Emit`), ends exactly once, and each end closes
the media.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from kiosk.bedside.call_events import (
    Accept,
    Accepted,
    Answered,
    Call,
    Cancel,
    CandidateFound,
    Effect,
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
    SendRebuild,
    SendReject,
    Spoken,
    State,
    SwitchToAudio,
    TimedOut,
    Unheard,
)
from kiosk.bedside.call_from_seat import accept, invited, unheard
from kiosk.bedside.call_state import (
    BY_A_PERSON,
    CONNECT_TIMEOUT_S,
    END_KINDS,
    REBUILD_TIMEOUT_S,
    REBUILD_TRIES,
    RING_GUARD_S,
    STEADY_S,
    CallState,
    Step,
    emit,
    end,
)
from kiosk.bedside.media_effects import (
    AddCandidate,
    ApplyAnswer,
    OpenGate,
    OpenMedia,
    RebuildMedia,
    StartTimer,
    StopTimer,
    StopVideo,
    Timer,
    WatchMedia,
)
from kiosk.signaling.messages import CallType

_ENDS: dict[type[Event], State] = {
    Ended: State.IDLE,
    Hangup: State.IDLE,
    MediaDown: State.IDLE,
    KickedOut: State.IDLE,
}

TRANSITIONS: dict[State, dict[type[Event], State]] = {
    State.IDLE: {Call: State.CALLING, Invited: State.INVITED},
    State.INVITED: {
        Ended: State.IDLE,
        Hangup: State.IDLE,
        KickedOut: State.IDLE,
        Accept: State.CALLING,
        Unheard: State.INVITED,
        Cancel: State.IDLE,
        LinkDown: State.IDLE,
        TimedOut: State.IDLE,
    },
    State.CALLING: {
        **_ENDS,
        Offered: State.CALLING,
        Ringing: State.CALLING,
        Answered: State.CALLING,
        CandidateFound: State.CALLING,
        MediaUp: State.CALLING,
        Accepted: State.CONNECTING,
        Cancel: State.IDLE,
        LinkDown: State.IDLE,
        TimedOut: State.IDLE,
    },
    State.CONNECTING: {
        **_ENDS,
        Answered: State.CONNECTING,
        CandidateFound: State.CONNECTING,
        MediaUp: State.CONNECTED,
        Spoken: State.CONNECTING,
        PeerMedia: State.CONNECTING,
        SwitchToAudio: State.CONNECTING,
        LinkDown: State.IDLE,
        TimedOut: State.IDLE,
    },
    State.CONNECTED: {
        **_ENDS,
        CandidateFound: State.CONNECTED,
        MediaUp: State.CONNECTED,
        Spoken: State.CONNECTED,
        PeerMedia: State.CONNECTED,
        SwitchToAudio: State.CONNECTED,
        LinkDown: State.CONNECTED,
        MediaStalled: State.REBUILDING,
    },
    State.REBUILDING: {
        **_ENDS,
        MediaDown: State.REBUILDING,
        TimedOut: State.REBUILDING,
        Offered: State.REBUILDING,
        Answered: State.REBUILDING,
        CandidateFound: State.REBUILDING,
        MediaUp: State.CONNECTED,
        Spoken: State.REBUILDING,
        PeerMedia: State.REBUILDING,
        SwitchToAudio: State.REBUILDING,
        LinkDown: State.REBUILDING,
    },
}
"""``Accepted`` leads through CONNECTING to CONNECTED at once when media are up already; a rebuilding whose tries
are used up leads to IDLE; a bed that has rung for the time after which it may answer by itself leads to CALLING."""

_TIMER_OF = {
    State.INVITED: Timer.RING,
    State.CALLING: Timer.RING,
    State.CONNECTING: Timer.CONNECT,
    State.REBUILDING: Timer.REBUILD,
}
_OfAConnection = Offered | Answered | CandidateFound | MediaUp | MediaDown | MediaStalled


def step(call: CallState, event: Event) -> tuple[CallState, list[Effect]]:
    """Apply *event*; return the new state and the effects to perform, in order."""
    target = TRANSITIONS[call.state].get(type(event))
    if target is None or _is_stale(call, event):
        return call, [Ignored(event, call.state)]
    return _HANDLERS[type(event)](call, replace(call, state=target), event)


def _is_stale(call: CallState, event: Event) -> bool:
    if isinstance(event, Call | Invited | Accept | Unheard | Cancel | Hangup | LinkDown | KickedOut):
        return False
    late = isinstance(event, TimedOut) and event.timer is not _timer(call)
    late = late or (isinstance(event, _OfAConnection) and event.connection != call.connection)
    return late or event.call_id != call.call_id


def _timer(call: CallState) -> Timer | None:
    if call.state is State.INVITED and call.answer_s is not None:
        return Timer.ANSWER
    return _TIMER_OF.get(call.state)


def _call(before: CallState, after: CallState, event: Event) -> Step:
    assert isinstance(event, Call)
    opened = CallState(
        state=after.state,
        call_id=event.call_id,
        seat=event.seat,
        fence=event.fence,
        call_type=event.call_type,
    )
    return opened, [
        StartTimer(event.call_id, Timer.RING, event.ring_s + RING_GUARD_S),
        OpenMedia(event.call_id, event.call_type),
    ]


def _offered(before: CallState, after: CallState, event: Event) -> Step:
    assert isinstance(event, Offered)
    if after.state is State.REBUILDING:
        return after, [SendRebuild(after.call_id, after.connection, event.sdp)]
    return after, [SendInvite(after.call_id, after.fence, after.call_type, event.sdp)]


def _ringing(before: CallState, after: CallState, event: Event) -> Step:
    return after, [emit(after, Kind.RINGING)]


def _answered(before: CallState, after: CallState, event: Event) -> Step:
    assert isinstance(event, Answered)
    return after, [ApplyAnswer(event.call_id, event.sdp)]


def _candidate(before: CallState, after: CallState, event: Event) -> Step:
    assert isinstance(event, CandidateFound)
    return after, [AddCandidate(event.call_id, event.candidate, event.sdp_mid, event.sdp_mline_index)]


def _accepted(before: CallState, after: CallState, event: Event) -> Step:
    assert isinstance(event, Accepted)
    after = replace(after, call_type=min(before.call_type, event.call_type))
    effects: list[Effect] = [
        OpenGate(after.call_id, after.call_type),
        emit(after, Kind.ACCEPTED),
        StartTimer(after.call_id, Timer.CONNECT, CONNECT_TIMEOUT_S),
    ]
    if not before.media_up:
        return after, effects
    connected, more = _begin(after, event.at)
    return connected, effects + more


def _media_up(before: CallState, after: CallState, event: Event) -> Step:
    assert isinstance(event, MediaUp)
    after = replace(after, media_up=True)
    if before.state is State.CONNECTING:
        return _begin(after, event.at)
    if before.state is not State.REBUILDING:
        return after, []
    after = replace(after, up_at=event.at)
    return after, [
        StopTimer(after.call_id),
        WatchMedia(after.call_id, after.peer_sends),
        emit(after, Kind.RESTORED),
    ]


def _begin(call: CallState, at: float) -> Step:
    begun = replace(call, state=State.CONNECTED, began_at=at, up_at=at)
    return begun, [StopTimer(begun.call_id), WatchMedia(begun.call_id, begun.peer_sends), emit(begun, Kind.BEGIN)]


def _stalled(before: CallState, after: CallState, event: Event) -> Step:
    assert isinstance(event, MediaStalled)
    if event.at - before.up_at >= STEADY_S:
        before = replace(before, tries=0)
    rebuilding, effects = _rebuild(before, event.why, event.at)
    if rebuilding.state is State.IDLE:
        return rebuilding, effects
    return rebuilding, [replace(emit(before, Kind.INTERRUPTED), why=event.why), *effects]


def _rebuild(before: CallState, why: str, at: float) -> Step:
    if before.tries >= REBUILD_TRIES:
        tell = SendFailed(before.call_id, why, before.spoken)
        return end(before, replace(before, state=State.IDLE), at, kind=Kind.ERROR, why=why, first=tell, broken=True)
    after = replace(
        before, state=State.REBUILDING, connection=before.connection + 1, tries=before.tries + 1, media_up=False
    )
    return after, [
        StartTimer(after.call_id, Timer.REBUILD, REBUILD_TIMEOUT_S),
        RebuildMedia(after.call_id, after.connection, after.call_type),
        OpenGate(after.call_id, after.call_type),
    ]


def _spoken(before: CallState, after: CallState, event: Event) -> Step:
    return replace(after, spoken=True), []


def _peer_media(before: CallState, after: CallState, event: Event) -> Step:
    assert isinstance(event, PeerMedia)
    sends = event.audio or event.steady
    after = replace(after, peer_audio=event.audio, peer_video=event.video, peer_sends=sends)
    effects: list[Effect] = []
    if sends != before.peer_sends and after.state is State.CONNECTED:
        effects.append(WatchMedia(after.call_id, sends))
    if after.peer_audio != before.peer_audio:
        effects.append(replace(emit(after, Kind.AUDIO), available=after.peer_audio))
    if after.peer_video != before.peer_video:
        effects.append(replace(emit(after, Kind.VIDEO), available=after.peer_video))
    return after, effects


def _switch_to_audio(before: CallState, after: CallState, event: Event) -> Step:
    if before.call_type is CallType.AUDIO:
        return after, []
    after = replace(after, call_type=CallType.AUDIO, peer_video=False)
    return after, [StopVideo(after.call_id), emit(after, Kind.MEDIA_TYPE)]


def _ended(before: CallState, after: CallState, event: Event) -> Step:
    assert isinstance(event, Ended)
    kind = END_KINDS.get(event.reason, Kind.CANCELLED)
    broken = event.reason not in BY_A_PERSON
    return end(before, after, event.at, kind=kind, why=event.reason.value, broken=broken)


def _by_the_bed(before: CallState, after: CallState, event: Event) -> Step:
    tell: Effect = SendHangup(before.call_id, before.spoken)
    if before.state is State.INVITED:
        tell = SendReject(before.call_id)
    elif isinstance(event, Cancel):
        tell = SendCancel(before.call_id)
    at = event.at if isinstance(event, Hangup) else 0.0
    return end(before, after, at, kind=Kind.CANCELLED, why="by the bed", first=tell)


def _media_down(before: CallState, after: CallState, event: Event) -> Step:
    assert isinstance(event, MediaDown)
    if before.state is State.REBUILDING:
        return _rebuild(before, event.why, event.at)
    tell = SendFailed(before.call_id, event.why, before.spoken)
    return end(before, after, event.at, kind=Kind.ERROR, why=event.why, first=tell, broken=True)


def _timed_out(before: CallState, after: CallState, event: Event) -> Step:
    assert isinstance(event, TimedOut)
    if event.timer is Timer.ANSWER:
        return accept(before, after, event)
    if event.timer is Timer.RING:
        why = "no response"
        invited = before.state is State.INVITED
        tell: Effect = SendCancel(before.call_id) if invited else SendFailed(before.call_id, why)
        return end(before, after, event.at, kind=Kind.NO_RESPONSE, why=why, first=tell)
    if event.timer is Timer.REBUILD:
        return _rebuild(before, f"no media path within {REBUILD_TIMEOUT_S:.0f} s", event.at)
    why = f"no media {CONNECT_TIMEOUT_S:.0f} s after the accept"
    tell = SendFailed(before.call_id, why)
    return end(before, after, event.at, kind=Kind.ERROR, why=why, first=tell, broken=True)


def _link_down(before: CallState, after: CallState, event: Event) -> Step:
    if before.begun:
        return after, []
    return end(before, after, 0.0, kind=Kind.ERROR, why="the desk cannot be reached", broken=True)


def _kicked_out(before: CallState, after: CallState, event: Event) -> Step:
    assert isinstance(event, KickedOut)
    why = "signed in elsewhere"
    return end(before, after, event.at, kind=Kind.KICKED_OUT, why=why, broken=True)


_HANDLERS: dict[type[Event], Callable[[CallState, CallState, Event], Step]] = {
    Call: _call,
    Invited: invited,
    Accept: accept,
    Unheard: unheard,
    Offered: _offered,
    Ringing: _ringing,
    Answered: _answered,
    CandidateFound: _candidate,
    Accepted: _accepted,
    Ended: _ended,
    Cancel: _by_the_bed,
    Hangup: _by_the_bed,
    MediaUp: _media_up,
    MediaDown: _media_down,
    MediaStalled: _stalled,
    Spoken: _spoken,
    PeerMedia: _peer_media,
    SwitchToAudio: _switch_to_audio,
    LinkDown: _link_down,
    KickedOut: _kicked_out,
    TimedOut: _timed_out,
}
