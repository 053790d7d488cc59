"""A desk's allocation, spoken to in the ward's words."""

from __future__ import annotations

from typing import Any, TypeVar

from kiosk.desk.allocation import Allocation
from kiosk.desk.allocation_events import (
    AllBusy,
    BoardChanged,
    Effect,
    Event,
    Noted,
    Reserved,
    Said,
    SeatArrived,
    StartTimer,
    Tell,
    TimedOut,
    Timer,
)
from kiosk.desk.ledger import Lease, RequestState, Rules
from kiosk.desk.timeline import Entry
from kiosk.signaling import messages as wire
from kiosk.signaling.messages import (
    CallType,
    OpenRequest,
    SeatState,
)

M = TypeVar("M", bound=wire.Message)


class Ward:
    """A desk, spoken to in the ward's words. ``heard[user]`` are the messages a user was sent, oldest first."""

    def __init__(self, **rules: Any) -> None:
        self.desk = Allocation(rules=Rules(**rules), first_fence=1000)
        self.now = 100.0
        self.heard: dict[str, list[wire.Message]] = {}
        self.timers: dict[Timer, float] = {}
        self.timelines: dict[str, list[Entry]] = {}

    def does(self, event: Event) -> list[Effect]:
        effects = self.desk.handle(event, now=self.now)
        for effect in effects:
            if isinstance(effect, Tell):
                self.heard.setdefault(effect.user_id, []).append(effect.message)
            elif isinstance(effect, StartTimer):
                self.timers[effect.timer] = self.now + effect.seconds
            elif isinstance(effect, Noted):
                self.timelines.setdefault(effect.entry.request_id, []).append(effect.entry)
            elif not isinstance(effect, BoardChanged | Reserved | AllBusy):
                self.timers.pop(effect.timer, None)
        return effects

    def says(self, user: str, message: wire.Message) -> list[Effect]:
        return self.does(Said(user, message))

    def last(self, user: str) -> wire.Message:
        return self.heard[user][-1]

    def all_of(self, user: str, kind: type[M]) -> list[M]:
        return [message for message in self.heard.get(user, []) if isinstance(message, kind)]

    def seat(self, user: str, *groups: str, free: bool = True, call_id: str | None = None) -> None:
        self.now += 1
        self.does(SeatArrived(user, user.title(), frozenset(groups or ("ward",)), call_id))
        if free:
            self.says(user, wire.SetSeatState(state="free"))

    def bed(self, user: str, group: str = "ward", **snapshot: Any) -> None:
        self.says(user, wire.Snapshot(bed=wire.BedInfo(group=group, room=user), **snapshot))

    def press(self, user: str, request_id: str = "", **told: Any) -> None:
        request = OpenRequest(request_id=request_id or f"r-{user}", age=told.pop("age", 0), **told)
        self.says(user, wire.Request(request=request))

    def waits(self, seconds: float) -> None:
        """So much time goes by; what runs out meanwhile does, in order."""
        end = self.now + seconds
        while self.timers and min(self.timers.values()) <= end:
            self.passes(min(self.timers, key=lambda timer: (self.timers[timer], str(timer))))
        self.now = end

    def passes(self, timer: Timer) -> None:
        self.now = self.timers.pop(timer)
        self.does(TimedOut(timer))

    def lease(self, bed: str) -> Lease:
        return next(lease for lease in self.desk.ledger.leases.values() if lease.bed == bed)

    def rings(self, bed: str) -> str:
        """The bed sends its invitation; returns the seat that rings."""
        lease = self.lease(bed)
        self.says(
            bed,
            wire.Invite(call_id=lease.call_id, fence=lease.fence, call_type=CallType.VIDEO, sdp="offer"),
        )
        assert isinstance(self.last(lease.seat), wire.IncomingCall)
        return lease.seat

    def talks(self, bed: str) -> Lease:
        seat = self.rings(bed)
        self.says(seat, wire.Accept(call_id=self.lease(bed).call_id))
        return self.lease(bed)

    def state(self, request_id: str) -> RequestState:
        return self.desk.ledger.requests[request_id].state

    def seat_state(self, user: str) -> SeatState:
        return self.desk.ledger.seats[user].state
