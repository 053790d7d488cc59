"""Who is in one talk with a bed, and what its seats are told of each other.

Pure; the rules are those of ``allocation.py`` (rule 9).
"""

from __future__ import annotations

from collections.abc import Iterator

from kiosk.desk.allocation_events import Tell
from kiosk.desk.ledger import Lease, LeaseState, Ledger, Request
from kiosk.signaling import messages as wire


def members(ledger: Ledger, request: Request, *, but: str = "") -> tuple[wire.Member, ...]:
    """The seats in the talk of *request* or being rung for it, without the seat *but*."""
    return tuple(_member(ledger, lease) for lease in ledger.leases_of(request) if lease.seat != but)


def _member(ledger: Ledger, lease: Lease) -> wire.Member:
    seat = ledger.seats.get(lease.seat)
    name = lease.seat if seat is None else seat.name
    return wire.Member(
        user_id=lease.seat, name=name, state="talking" if lease.state is LeaseState.TALKING else "ringing"
    )


def told(ledger: Ledger, request: Request, *, left: wire.LeftMember | None = None) -> Iterator[Tell]:
    """What each of them is told now; a seat that does not ring yet hears of it with its invitation."""
    for lease in ledger.leases_of(request):
        if lease.state is not LeaseState.RESERVED:
            yield told_to(ledger, lease, left=left)


def told_to(ledger: Ledger, lease: Lease, *, left: wire.LeftMember | None = None) -> Tell:
    """What the seat of *lease* is told."""
    everybody = members(ledger, ledger.requests[lease.request_id])
    return Tell(lease.seat, wire.Members(call_id=lease.call_id, members=everybody, left=left))
