"""Between the wire and the bed's calls: the desk's words about a call as its events, a call's words as messages.

Pure. All of them name their call, so that several may be on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kiosk.bedside import call_events
from kiosk.signaling import messages as wire
from kiosk.signaling.messages import EndReason, ErrorCode

MAX_WORDS = 200
"""The wire's own limit for a fault or a reason in words."""

OfACall = (
    call_events.Ringing
    | call_events.Answered
    | call_events.CandidateFound
    | call_events.Accepted
    | call_events.Ended
    | call_events.PeerMedia
    | call_events.MediaStalled
    | call_events.SwitchToAudio
)


def event_of(message: wire.Message, *, now: float) -> OfACall | None:
    """What *message* of the desk is to the call it names; None when it is about no call that is on."""
    read = _READ.get(type(message))
    return read(message, now) if read is not None else None


def _answered(message: wire.Answer, now: float) -> OfACall:
    return call_events.Answered(message.call_id, message.sdp, message.connection)


def _candidate(message: wire.Candidate, now: float) -> OfACall:
    return call_events.CandidateFound(
        message.call_id,
        message.candidate,
        message.sdp_mid,
        message.sdp_mline_index,
        connection=message.connection,
    )


def _stalled(message: wire.MediaStalled, now: float) -> OfACall:
    why = "nothing arrives at the seat"
    return call_events.MediaStalled(message.call_id, why, now, connection=message.connection)


def _refused(message: wire.Fault, now: float) -> OfACall | None:
    if message.code is not ErrorCode.STALE_CALL or message.call_id is None:
        return None
    return call_events.Ended(message.call_id, EndReason.FAILED, now)


_READ: dict[type[wire.Message], Callable[[Any, float], OfACall | None]] = {
    wire.Ringing: lambda message, now: call_events.Ringing(message.call_id),
    wire.Answer: _answered,
    wire.Candidate: _candidate,
    wire.Accepted: lambda message, now: call_events.Accepted(message.call_id, message.call_type, now),
    wire.CallEnded: lambda message, now: call_events.Ended(message.call_id, message.reason, now),
    wire.MediaState: lambda message, now: call_events.PeerMedia(
        message.call_id, message.audio, message.video, message.steady
    ),
    wire.MediaStalled: _stalled,
    wire.SwitchToAudio: lambda message, now: call_events.SwitchToAudio(message.call_id),
    wire.Fault: _refused,
}


def message_of(effect: call_events.ForDesk) -> wire.Message:
    """What a call wants the desk to know."""
    match effect:
        case call_events.SendInvite():
            return wire.Invite(
                call_id=effect.call_id, fence=effect.fence, call_type=effect.call_type, sdp=effect.sdp
            )
        case call_events.SendRebuild():
            return wire.Rebuild(call_id=effect.call_id, connection=effect.connection, sdp=effect.sdp)
        case call_events.SendRinging():
            return wire.Ringing(call_id=effect.call_id)
        case call_events.SendReject():
            return wire.Reject(call_id=effect.call_id)
        case call_events.SendCancel():
            return wire.Cancel(call_id=effect.call_id)
        case call_events.SendHangup():
            return wire.Hangup(call_id=effect.call_id, spoken=effect.spoken)
        case _:
            return wire.CallFailed(call_id=effect.call_id, why=effect.why[:MAX_WORDS], spoken=effect.spoken)
