"""The bed's call, where a test has only one."""

from __future__ import annotations

from kiosk.bedside.bed import Bed
from kiosk.bedside.call_state import CallState


def the_call(bed: Bed) -> CallState:
    """The bed's only call; an idle one when none is on."""
    assert len(bed.calls) <= 1
    return next(iter(bed.calls.values()), CallState())
