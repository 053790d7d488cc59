"""What a seat that calls beds does, and sees, in the desk's model."""

from __future__ import annotations

from kiosk.signaling import messages as wire
from kiosk.signaling.messages import CallType, Origin
from tests.unit.desk_model import Ward


def ward_of(*beds: str, **rules: object) -> Ward:
    """anna is signed in and rests; the beds are connected."""
    ward = Ward(**rules)
    ward.seat("anna", free=False)
    ward.says("anna", wire.SetSeatState(state="rest"))
    for bed in beds or ("bed-1",):
        ward.bed(bed)
    return ward


def calls(ward: Ward, seat: str = "anna", bed: str = "bed-1", call_type: CallType = CallType.AUDIO) -> str:
    """The seat calls the bed; returns the call's id."""
    ward.says(seat, wire.CallBed(bed_user=bed, call_type=call_type))
    return ward.all_of(seat, wire.Calling)[-1].call_id


def answers(ward: Ward, bed: str = "bed-1") -> str:
    """The bed has rung, and opens its media; the page accepts at once. Returns the call's id."""
    lease = ward.lease(bed)
    ward.says(bed, wire.Ringing(call_id=lease.call_id))
    ward.says(bed, wire.Invite(call_id=lease.call_id, fence=lease.fence, call_type=lease.call_type, sdp="offer"))
    ward.says(lease.seat, wire.Accept(call_id=lease.call_id, call_type=CallType.VIDEO))
    return lease.call_id


def view(ward: Ward, seat: str = "anna") -> list[tuple[str, Origin, str | None]]:
    board = ward.desk.ledger.board(ward.desk.ledger.seats[seat], now=ward.now, rules=ward.desk.rules)
    return [(line.state, line.origin, line.seat) for line in board.requests]
