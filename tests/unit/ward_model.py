"""A whole ward without I/O: real beds (``Bed``) and a real desk (``Allocation``), joined by wires that can break.

Time stands still unless told; messages wait on their wire until delivered; timers run out when told to. So a test
can drive any history, and look at everything.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

from kiosk.bedside import bed_events, call_events, request_state
from kiosk.bedside.call_state import CallState
from kiosk.bedside.journal import Kept
from kiosk.bedside.media_effects import StartTimer
from kiosk.bedside.request_events import State
from kiosk.desk import allocation_events as desk_events
from kiosk.desk.allocation import Allocation
from kiosk.desk.escalation import UNANSWERED
from kiosk.desk.ledger import LeaseState, Request, RequestState, Rules, Stage
from kiosk.desk.timeline import Entry
from kiosk.signaling import codec
from kiosk.signaling import messages as wire
from kiosk.signaling.messages import MAX_MEMBERS, Priority, SeatState
from tests.unit.timelines import state_told
from tests.unit.ward_parts import GROUP, NEXT_GROUP, RING_S, ModelBed, ModelPage, Wire

_DECODERS = {
    name: codec.Decoder(direction)
    for name, direction in {
        "from_kiosk": wire.FromKiosk,
        "from_seat": wire.FromSeat,
        "to_kiosk": wire.ToKiosk,
        "to_seat": wire.ToSeat,
    }.items()
}


class ModelWard:
    """Desk, beds and pages. *heard* is told what reaches a bed."""

    def __init__(
        self,
        *,
        beds: int,
        seats: int,
        queue: bool,
        heard: Callable[[ModelBed, wire.Message], None],
        backup: bool = False,
    ) -> None:
        """The last bed's calls are emergencies, and it answers by itself; with *backup* the last seat is the next
        ward's, which helps."""
        self._heard = heard
        self.now = 100.0
        groups = {GROUP: NEXT_GROUP} if backup else {}
        self.rules = Rules(
            ring_s=RING_S,
            queue=queue,
            close_from_seat=True,
            overdue_s=2 * RING_S,
            realert_s=2 * RING_S,
            backup_after_s=3 * RING_S,
            local_alarm_s=4 * RING_S,
            backup_groups=groups,
        )
        self.number = itertools.count(1)
        *usual, last = _users("bed", beds)
        emergency = request_state.Rules(priority=Priority.EMERGENCY, answer_s=6.0)
        self.beds = {user: ModelBed(user, self.number, request_state.Rules()) for user in usual}
        self.beds[last] = ModelBed(last, self.number, emergency)
        *own, last = _users("seat", seats)
        self.pages = {user: ModelPage(user, GROUP) for user in own}
        self.pages[last] = ModelPage(last, NEXT_GROUP if backup else GROUP)
        self.highest_fence = 0
        self.desk_starts()

    # -- the desk

    def desk_starts(self) -> None:
        """A new, empty desk; every wire breaks."""
        for bed in self.beds.values():
            self.bed_loses_wire(bed, told=False)
        for page in self.pages.values():
            page.loses_the_wire()
        self.timers: dict[desk_events.Timer, float] = {}
        self.timelines: dict[str, list[Entry]] = {}
        self.desk = Allocation(rules=self.rules, first_fence=round(self.now * 1000) + self.highest_fence)

    def desk_does(self, event: desk_events.Event) -> None:
        for effect in self.desk.handle(event, now=self.now):
            match effect:
                case desk_events.Tell():
                    line = self.wire_of(effect.user_id)
                    if line.up:
                        line.from_desk.append(effect.message)
                    if isinstance(effect.message, wire.Allocated | wire.SeatCalls):
                        assert effect.message.fence > self.highest_fence, "a fencing number must rise"
                        self.highest_fence = effect.message.fence
                case desk_events.StartTimer():
                    self.timers[effect.timer] = self.now + effect.seconds
                case desk_events.StopTimer():
                    self.timers.pop(effect.timer, None)
                case desk_events.Noted():
                    self.timelines.setdefault(effect.entry.request_id, []).append(effect.entry)
                case _:
                    pass

    def desk_timer_ends(self, timer: desk_events.Timer) -> None:
        del self.timers[timer]
        self.desk_does(desk_events.TimedOut(timer))

    def wire_of(self, user: str) -> Wire:
        return self.beds[user].wire if user in self.beds else self.pages[user].wire

    # -- wires

    def lines(self) -> list[tuple[str, str]]:
        """The wires on which something waits: user and direction."""
        waiting = [(user, "to_desk") for user in (*self.beds, *self.pages) if self.wire_of(user).to_desk]
        return waiting + [(user, "from_desk") for user in (*self.beds, *self.pages) if self.wire_of(user).from_desk]

    def deliver(self, user: str, direction: str) -> None:
        line = self.wire_of(user)
        kind = "kiosk" if user in self.beds else "seat"
        waiting = line.to_desk if direction == "to_desk" else line.from_desk
        decoder = _DECODERS[f"from_{kind}" if direction == "to_desk" else f"to_{kind}"]
        message = decoder.decode(codec.encode(waiting.popleft()))
        if direction == "to_desk":
            self.desk_does(desk_events.Said(user, message))
        elif user in self.beds:
            bed = self.beds[user]
            bed.does(bed_events.Received(message), self.now)
            its_own = isinstance(message, wire.RequestTaken) and message.request_id == bed.bed.request.request_id
            if isinstance(message, wire.RequestHeld):
                bed.known_elsewhere.add(message.request.request_id)
            if its_own or isinstance(message, wire.RequestHeld):
                bed.forgot = False
            self._heard(bed, message)
        else:
            self.pages[user].hears(message)

    def bed_connects(self, bed: ModelBed) -> None:
        bed.does(bed_events.LinkUp(RING_S), self.now)
        bed.disk_writes()
        bed.wire.up = True
        bed.tells(bed.bed.snapshot(now=self.now))

    def bed_loses_wire(self, bed: ModelBed, *, told: bool = True) -> None:
        was_up = bed.wire.up
        bed.wire.breaks()
        if was_up:
            bed.does(bed_events.LinkDown(), self.now)
            if told:
                self.desk_does(desk_events.Left(bed.user))

    def power_cut(self, bed: ModelBed) -> None:
        """The bed goes on where its disk ends."""
        self.bed_loses_wire(bed)
        bed.power_on(now=self.now)

    def power_cut_that_takes_the_disk(self, bed: ModelBed) -> None:
        """A new card was put in: only the desk knows the request."""
        bed.disk_writes()
        bed.forgot = bed.forgot or bed.open
        bed.disk = Kept()
        self.power_cut(bed)

    def page_connects(self, page: ModelPage) -> None:
        page.wire.up = True
        call_id = page.call_id if page.accepted else None
        self.desk_does(desk_events.SeatArrived(page.user, page.user, page.groups, call_id or None))

    def page_loses_wire(self, page: ModelPage) -> None:
        if page.wire.up:
            page.loses_the_wire()
            self.desk_does(desk_events.Left(page.user))

    # -- media

    def media_advance(self, bed: ModelBed) -> bool:
        """The next thing the bed's media have to say, if any."""
        for call in tuple(bed.bed.calls.values()):
            if call.call_id in bed.offers_due:
                bed.offers_due.discard(call.call_id)
                bed.does(call_events.Offered(call.call_id, "v=0", call.connection), self.now)
                return True
            if call.call_id in bed.answered and not call.media_up:
                bed.does(call_events.MediaUp(call.call_id, self.now, call.connection), self.now)
                return True
        return False

    def media_break(self, bed: ModelBed, call: CallState) -> None:
        bed.does(call_events.MediaDown(call.call_id, "broken", self.now, call.connection), self.now)

    def media_stall(self, bed: ModelBed, call: CallState) -> None:
        bed.does(call_events.MediaStalled(call.call_id, "nothing comes", self.now, call.connection), self.now)

    def bed_timer_ends(self, bed: ModelBed, timer: StartTimer) -> None:
        del bed.timers[timer.call_id]
        bed.does(call_events.TimedOut(timer.call_id, timer.timer, self.now), self.now)

    # -- until nothing moves

    def settle(self) -> None:
        """Every wire is up, and :meth:`calm`."""
        for bed in self.beds.values():
            if not bed.wire.up:
                self.bed_connects(bed)
        for page in self.pages.values():
            if not page.wire.up:
                self.page_connects(page)
        self.calm()

    def calm(self) -> None:
        """Every message arrives and media advance, until nothing moves; timers do not run."""
        for _ in range(1000):
            for bed in self.beds.values():
                bed.disk_writes()
            if lines := self.lines():
                self.deliver(*lines[0])
            elif not any(self.media_advance(bed) for bed in self.beds.values()):
                return
        raise AssertionError("the ward does not come to rest")

    # -- what must be true

    def check_books(self) -> None:
        """Leases, seats and requests of the desk agree with each other."""
        ledger = self.desk.ledger
        for lease in ledger.leases.values():
            assert lease.call_id in ledger.requests[lease.request_id].calls
            seat = ledger.seats.get(lease.seat)
            if seat is not None and seat.connected:
                assert seat.call_id == lease.call_id
        for seat in ledger.seats.values():
            bound = seat.state in (SeatState.RINGING, SeatState.BUSY)
            assert bound == (seat.call_id is not None)
            if bound:
                assert ledger.leases[seat.call_id or ""].seat == seat.user_id
        for kept in ledger.requests.values():
            held = ledger.leases_of(kept)
            assert all(lease.request_id == kept.told.request_id for lease in held)
            assert len({lease.seat for lease in held}) == len(held) <= MAX_MEMBERS
            bound = kept.state in (RequestState.RINGING, RequestState.TALKING)
            called = kept.state is RequestState.ANSWERED and any(lease.by_seat for lease in held)
            assert (bound or called) == bool(held)
            assert held or not kept.by_seat, "what nobody asked for outlives its call"
            talking = [lease for lease in held if lease.state is LeaseState.TALKING]
            assert (kept.state is RequestState.TALKING) == bool(talking)
            assert talking or len(held) <= 1, "several seats ring where nobody talks"
        owners = [kept.bed for kept in ledger.requests.values()]
        assert len(owners) == len(set(owners)), "a bed has one request"

    def check_timelines(self) -> None:
        """The timelines alone tell where every request stands, and of none that is not there."""
        told = {request_id: state_told(entries) for request_id, entries in self.timelines.items()}
        kept = {request_id: request.state for request_id, request in self.desk.ledger.requests.items()}
        assert {request_id: state for request_id, state in told.items() if state is not None} == kept

    def check_owner(self, bed: ModelBed) -> None:
        """The open request of *bed* is held by the desk, on its way there, or the bed knows that it is not sent."""
        if bed.bed.request.state is State.ANSWERING:
            assert bed.bed.calls, "an answer leads nowhere"
            return
        request_id = bed.bed.request.request_id
        held = request_id in self.desk.ledger.requests
        on_its_way = any(_names(message, request_id) for message in (*bed.held_back, *bed.wire.to_desk))
        unsent = bed.bed.request.state in (State.UNSENT, State.TALKING, State.ANSWERED) and not bed.wire.up
        closing = any(
            isinstance(message, wire.RequestClosed) and message.request_id == request_id
            for message in bed.wire.from_desk
        )
        assert held or on_its_way or unsent or closing, f"nobody owns {request_id}: {bed.bed.request}"

    def check_agreement(self, bed: ModelBed) -> None:
        """At rest bed and desk say the same of the request, and somebody is about to do something for it."""
        state = bed.bed.request.state
        if state is State.CALLED:
            assert bed.timers, "a ring without an end"
        kept = self.desk.ledger.requests.get(bed.bed.request.request_id)
        if kept is None:
            assert state is State.IDLE, f"{bed.user} is {state}, and the desk knows nothing of it"
            return
        assert state in _SAME[kept.state], f"{bed.user} is {state}, the desk says {kept.state}"
        if kept.state is RequestState.TALKING:
            self.check_talk(bed, kept)
        if kept.state is RequestState.WAITING:
            seats = [seat for seat in self.desk.ledger.seats.values() if kept.groups & seat.groups]
            free = [seat for seat in seats if seat.state is SeatState.FREE]
            assert self.desk.ledger.yielding(kept) is None, "an emergency waits while a lesser request rings"
            undeclined = [seat for seat in free if seat.user_id not in kept.declined]
            assert not undeclined, "a seat is free, and does not ring"
            round_timer = desk_events.Timer("round", kept.told.request_id)
            assert not free or round_timer in self.timers, "seats that declined are never asked again"
        if kept.state in UNANSWERED:
            assert bed.bed.request.alarm == (kept.stage is Stage.ALARM), "bed and desk differ about the alarm"
            further = desk_events.Timer("escalate", kept.told.request_id)
            assert (further in self.timers) is not (kept.stage is Stage.ALARM), "a waiting without an end"
            again = desk_events.Timer("alert", kept.told.request_id)
            assert (again in self.timers) is (kept.stage > Stage.USUAL), "what is overdue sounds again"
        if kept.state is RequestState.RINGING:
            lease = self.desk.ledger.leases[kept.call_id or ""]
            waits_for = "invite" if lease.state is LeaseState.RESERVED else "ring"
            assert desk_events.Timer(waits_for, lease.call_id) in self.timers, "a ringing without an end"

    def check_talk(self, bed: ModelBed, kept: Request) -> None:
        """Bed, desk and pages name the same seats, and whoever is still being rung is not for ever."""
        leases = {lease.call_id: lease for lease in self.desk.ledger.leases_of(kept)}
        assert bed.bed.calls.keys() == leases.keys()
        talking = [call_id for call_id, lease in leases.items() if lease.state is LeaseState.TALKING]
        assert sorted(talk.call_id for talk in bed.bed.request.talks) == sorted(talking)
        states = {lease.seat: "talking" if lease.call_id in talking else "ringing" for lease in leases.values()}
        for lease in leases.values():
            page = self.pages[lease.seat]
            if lease.call_id not in talking:
                assert desk_events.Timer("ring", lease.call_id) in self.timers, "a ringing without an end"
                assert lease.call_id in bed.timers
            elif page.call_id == lease.call_id:
                assert page.members == states or (len(states) == 1 and not page.members)


_SAME = {
    RequestState.WAITING: {State.SENT, State.QUEUED},
    RequestState.RINGING: {State.SENT, State.RINGING, State.QUEUED},
    RequestState.TALKING: {State.TALKING},
    RequestState.ANSWERED: {State.ANSWERED, State.CALLED},
    RequestState.DEFERRED: {State.DEFERRED},
}
"""What the bed may show for each state at the desk. A seat that is reserved does not ring yet."""


def _names(message: wire.Message, request_id: str) -> bool:
    if isinstance(message, wire.Request | wire.Snapshot):
        return message.request is not None and message.request.request_id == request_id
    return False


def _users(kind: str, count: int) -> list[str]:
    return [f"{kind}-{number}" for number in range(1, count + 1)]
