"""Reading a timeline as an auditor would: from the entries alone to where the request stands."""

from __future__ import annotations

from collections.abc import Iterable

from kiosk.desk.ledger import RequestState
from kiosk.desk.timeline import Entry, Happened

_STANDS = {
    Happened.RAISED: RequestState.WAITING,
    Happened.DEFERRED: RequestState.DEFERRED,
    Happened.RESERVED: RequestState.RINGING,
    Happened.ANSWERED: RequestState.TALKING,
    Happened.RESUMED: RequestState.TALKING,
    Happened.NOT_TAKEN: RequestState.WAITING,
    Happened.SETTLED: RequestState.ANSWERED,
    Happened.ASKED_AGAIN: RequestState.WAITING,
    Happened.CLOSED: None,
}


def state_told(entries: Iterable[Entry]) -> RequestState | None:
    """Where the request stands after *entries*; None when it was never raised or is closed."""
    state: RequestState | None = None
    for entry in entries:
        if entry.what is Happened.CALLED:
            state = RequestState.ANSWERED
        elif entry.what is Happened.NOT_TAKEN and state is RequestState.ANSWERED:
            continue  # the bed did not answer the seat
        elif entry.what is Happened.RAISED and state is RequestState.TALKING:
            continue  # pressed in a talk that a seat began
        elif entry.what is Happened.ENDED:
            state = RequestState.ANSWERED if entry.reason == "hangup" else RequestState.WAITING
        else:
            state = _STANDS.get(entry.what, state)
    return state
