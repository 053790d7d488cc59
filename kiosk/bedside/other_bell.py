"""When the bed calls through the other bell: the relay towards the certified nurse call.

Pure.

Theory of operation
===================

Rule 1. The relay closes when a request is open and nobody can be reached, which is when the bed says "use the other
bell": a patient who cannot do that is not left alone.

Rule 2. It opens again when the desk has the request, not already when the link is back: only the desk's word means
that somebody will know. So a link that flickers does not ring the other bell again and again for one request.

Rule 3. A request that the desk has given up on (*escalated*: nobody answered in the facility's time) closes it as
well, whatever else is known, for as long as that request is open.

=====================================  ===========  ==========
request                                link is up   it is not
=====================================  ===========  ==========
none                                   open         open
open, and the desk does not have it    as it was    **closed**
open, and the desk has it              open         open
escalated                              **closed**   **closed**
=====================================  ===========  ==========
"""

from __future__ import annotations

from kiosk.bedside.request_events import Link, State
from kiosk.bedside.request_state import RequestState


def relay_closed(request: RequestState, *, before: bool, escalated: bool = False) -> bool:
    """Whether the relay is to be closed for *request*, given what it was *before*."""
    if request.state is State.IDLE:
        return False
    if escalated:
        return True
    if request.state is not State.UNSENT:
        return False
    return before or request.link is not Link.UP
