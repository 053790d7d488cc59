"""What bed and seat say in the same moment: whoever is heard first, bed and desk end with the same truth."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from kiosk.bedside import bed_events
from kiosk.bedside.request_events import State
from kiosk.signaling import messages as wire
from tests.unit.ward_model import ModelWard
from tests.unit.ward_parts import ModelBed, ModelPage


def a_seat_rings(*, for_a_talk: bool) -> tuple[ModelWard, ModelBed, ModelPage]:
    """A seat rings for the bed: as the first one, or asked into the talk with another."""
    ward = ModelWard(beds=1, seats=2, queue=True, heard=lambda bed, message: None)
    ward.settle()
    (bed,), (first, second) = ward.beds.values(), ward.pages.values()
    for page in (first, second):
        page.wire.says(wire.SetSeatState(state="free"))
        ward.calm()
    bed.presses(ward.now)
    ward.calm()
    if not for_a_talk:
        return ward, bed, first
    first.accepts()
    ward.calm()
    first.asks_in(second.user)
    ward.calm()
    return ward, bed, second


def gives_up(ward: ModelWard, bed: ModelBed, call_id: str) -> None:
    ward.bed_timer_ends(bed, bed.timers[call_id])


def fails(ward: ModelWard, bed: ModelBed, call_id: str) -> None:
    ward.media_break(bed, bed.bed.calls[call_id])


def hangs_up(ward: ModelWard, bed: ModelBed, call_id: str) -> None:
    bed.does(bed_events.CancelPressed(), ward.now)
    bed.does(bed_events.CancelHeld(), ward.now)


def is_attended(ward: ModelWard, bed: ModelBed, call_id: str) -> None:
    bed.does(bed_events.AttendPressed(), ward.now)


@pytest.mark.promise("R01", "R04")
@pytest.mark.parametrize("for_a_talk", [False, True])
@pytest.mark.parametrize("accept_first", [False, True])
@pytest.mark.parametrize("ends", [gives_up, fails, hangs_up, is_attended])
def test_a_bed_ends_the_call_while_the_seat_accepts(
    ends: Callable[[ModelWard, ModelBed, str], None], accept_first: bool, for_a_talk: bool
) -> None:
    ward, bed, seat = a_seat_rings(for_a_talk=for_a_talk)
    call_id = seat.call_id
    seat.accepts()
    ends(ward, bed, call_id)
    first, then = (seat.user, bed.user) if accept_first else (bed.user, seat.user)
    for user in (first, then):
        while ward.wire_of(user).to_desk:
            ward.deliver(user, "to_desk")
    ward.calm()
    ward.check_books()
    ward.check_agreement(bed)
    assert call_id not in bed.bed.calls
    assert call_id not in ward.desk.ledger.leases
    assert seat.call_id != call_id, "the seat knows that this call is over"
    if for_a_talk and ends in (gives_up, fails):
        assert bed.bed.request.state is State.TALKING, "the other seat still speaks with the patient"
