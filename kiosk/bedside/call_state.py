"""The bed's call as a value, its times, and the one way in which it ends.

Pure. What may happen to it is in ``call.py``, with the theory.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from kiosk.bedside.call_events import (
    Effect,
    Emit,
    Kind,
    State,
)
from kiosk.bedside.media_effects import (
    CloseMedia,
    StopTimer,
)
from kiosk.signaling.messages import CallType, EndReason

RING_GUARD_S = 5.0
"""Beyond the desk's ring time-out: TUICalling's inviter also gives up 5 s after the invitee (facts/tencent §3a)."""
CONNECT_TIMEOUT_S = 10.0
"""From accept to connected media; usually they are connected before the accept."""

REBUILD_TRIES = 2
REBUILD_TIMEOUT_S = 5.0
"""From the decision to rebuild to connected media; the way over the desk and back is part of it."""
STEADY_S = 10.0


@dataclass(frozen=True)
class CallState:
    """The call. Times are monotonic seconds."""

    state: State = State.IDLE
    call_id: str = ""
    seat: str = ""
    fence: int = 0
    call_type: CallType = CallType.VIDEO
    ring_s: float = 0.0
    answer_s: float | None = None
    """A seat calls: how long it rings here, and after how long the bed answers by itself."""
    media_up: bool = False
    began_at: float = 0.0
    peer_audio: bool = False
    peer_video: bool = False
    peer_sends: bool = False
    """The seat sends sound without a pause, be it silence."""
    connection: int = 0
    tries: int = 0
    """To rebuild, since the path was last steady."""
    up_at: float = 0.0
    """When this connection came up."""
    spoken: bool = False
    """Speech has flowed both ways."""

    @property
    def begun(self) -> bool:
        """The seat has accepted and media have flowed: ends with END, outlives the link."""
        return self.state in (State.CONNECTED, State.REBUILDING)


END_KINDS = {
    EndReason.REJECTED: Kind.REJECTED,
    EndReason.LINE_BUSY: Kind.LINE_BUSY,
    EndReason.NO_RESPONSE: Kind.NO_RESPONSE,
}
ENDINGS = frozenset({*END_KINDS.values(), Kind.CANCELLED, Kind.ERROR, Kind.KICKED_OUT})
"""How a call that was never connected ends; a connected one ends with END."""
BY_A_PERSON = frozenset({EndReason.HANGUP, EndReason.CANCELLED})


Step = tuple[CallState, list[Effect]]


def end(
    before: CallState,
    after: CallState,
    at: float,
    *,
    kind: Kind,
    why: str,
    first: Effect | None = None,
    broken: bool = False,
) -> Step:
    effects: list[Effect] = [first] if first is not None else []
    effects += [StopTimer(before.call_id), CloseMedia(before.call_id)]
    accepted = before.begun or before.state is State.CONNECTING
    ended = replace(emit(before, kind), why=why, broken=broken and accepted)
    if before.begun:
        duration = max(0.0, at - before.began_at)
        ended = replace(ended, kind=Kind.END, duration=duration, spoken=before.spoken)
    effects.append(ended)
    return CallState(state=after.state), effects


def emit(call: CallState, kind: Kind) -> Emit:
    return Emit(kind, call.call_id, call.seat)
