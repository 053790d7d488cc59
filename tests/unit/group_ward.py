"""A group talk in the ward's words: who is asked, comes, is refused and goes, and what they are told."""

from __future__ import annotations

from kiosk.desk.ledger import Lease, LeaseState
from kiosk.desk.timeline import Happened
from kiosk.signaling import messages as wire
from kiosk.signaling.messages import (
    CallType,
    ErrorCode,
)
from tests.unit.desk_model import Ward

REQUEST = "r-bed-1"


def call(ward: Ward, seat: str) -> Lease:
    lease = ward.desk.ledger.lease_of_seat(seat)
    assert lease is not None, f"{seat} has no call"
    return lease


def asks(ward: Ward, seat: str, *, by: str = "anna") -> None:
    ward.says(by, wire.AddSeat(call_id=call(ward, by).call_id, user_id=seat))


def invited(ward: Ward, seat: str, call_type: CallType = CallType.VIDEO) -> None:
    lease = call(ward, seat)
    ward.says(lease.bed, wire.Invite(call_id=lease.call_id, fence=lease.fence, call_type=call_type, sdp="offer"))


def accepts(ward: Ward, seat: str) -> None:
    ward.says(seat, wire.Accept(call_id=call(ward, seat).call_id))


def joins(ward: Ward, *seats: str) -> None:
    for seat in seats:
        asks(ward, seat)
        invited(ward, seat)
        accepts(ward, seat)


def hangs_up(ward: Ward, seat: str) -> None:
    ward.says(seat, wire.Hangup(call_id=call(ward, seat).call_id))


def talking(ward: Ward) -> list[str]:
    leases = ward.desk.ledger.leases.values()
    return [lease.seat for lease in leases if lease.state is LeaseState.TALKING]


def told(ward: Ward, seat: str) -> wire.Members:
    return ward.all_of(seat, wire.Members)[-1]


def names(members: tuple[wire.Member, ...]) -> dict[str, str]:
    return {member.user_id: member.state for member in members}


def refused(ward: Ward, seat: str) -> tuple[ErrorCode, str, str]:
    fault = ward.last(seat)
    assert isinstance(fault, wire.Fault)
    return fault.code, fault.field, fault.message


def happened(ward: Ward) -> list[tuple[str, str, str]]:
    shown = (Happened.ASKED, Happened.JOINED, Happened.LEFT, Happened.ENDED, Happened.RESUMED)
    return [
        (entry.what.value, entry.seat, entry.reason) for entry in ward.timelines[REQUEST] if entry.what in shown
    ]


def busy(ward: Ward, seat: str = "bert") -> str:
    """*seat* talks with another bed."""
    ward.bed("bed-2")
    ward.press("bed-2", seat=seat)
    return ward.talks("bed-2").seat
