"""What a call's story means to the request: which of TUICalling's events moves it, and how.

Pure. The others are for the log and for whoever listens.
"""

from __future__ import annotations

from collections.abc import Callable

from kiosk.bedside import call_state, request_events
from kiosk.bedside.call_events import Emit, Kind


def meaning(told: Emit, *, fence: int, talking: bool) -> request_events.Event | None:
    """What *told* is to the request; *fence*: of the call, while it is on; *talking*: whether the request is."""
    if told.kind is Kind.END or told.kind in call_state.ENDINGS:
        return _end(told) if talking else request_events.SeatStopped()
    means = _MEANS.get(told.kind)
    return means(told, fence) if means is not None else None


def _end(told: Emit) -> request_events.Event:
    ended = request_events.CallBroke if told.broken else request_events.CallEnded
    return ended(told.call_id, told.spoken)


_MEANS: dict[Kind, Callable[[Emit, int], request_events.Event]] = {
    Kind.RINGING: lambda told, fence: request_events.SeatRings(),
    Kind.ACCEPTED: lambda told, fence: request_events.SeatJoins(told.call_id, told.seat, fence),
    Kind.BEGIN: lambda told, fence: request_events.CallConnected(told.call_id, told.seat, fence),
    Kind.INTERRUPTED: lambda told, fence: request_events.CallInterrupted(told.call_id),
    Kind.RESTORED: lambda told, fence: request_events.CallRestored(told.call_id),
}
