"""A whole ward without I/O: real beds (``Bed``) and a real desk (``Allocation``), joined by wires that can break.

Time stands still unless told; messages wait on their wire until delivered; timers run out when told to. So a test
can drive any history, and look at everything.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from kiosk.bedside import bed_events, call_events, request_state
from kiosk.bedside.bed import Bed
from kiosk.bedside.journal import Kept
from kiosk.bedside.request_events import State
from kiosk.desk import allocation_events as desk_events
from kiosk.desk.allocation import Allocation
from kiosk.desk.escalation import UNANSWERED
from kiosk.desk.ledger import LeaseState, RequestState, Rules, Stage
from kiosk.desk.timeline import Entry
from kiosk.signaling import messages as wire
from kiosk.signaling.messages import CallType, ErrorCode, Origin, Priority, SeatState
from tests.unit.timelines import state_told

GROUP = "ward"
NEXT_GROUP = "next-ward"
RING_S = 30.0


@dataclass
class Wire:
    """One connection to the desk: messages in order, both ways, until it breaks."""

    up: bool = False
    to_desk: deque[wire.Message] = field(default_factory=deque)
    from_desk: deque[wire.Message] = field(default_factory=deque)

    def breaks(self) -> None:
        self.up = False
        self.to_desk.clear()
        self.from_desk.clear()

    def says(self, message: wire.Message) -> None:
        if self.up:
            self.to_desk.append(message)


class ModelBed:
    """A bed whose media come up, and whose disk writes, when told."""

    def __init__(self, user: str, number: itertools.count[int], rules: request_state.Rules) -> None:
        self.user = user
        self.wire = Wire()
        self._number = number
        self._rules = rules
        self.forgot = False
        """The disk was lost with the power, and the desk has not given the request back yet."""
        self.disk = Kept()
        self.known_elsewhere: set[str] = set()
        """Requests that were on the disk, or that the desk gave back."""
        self.slow = False
        """The disk does not write until :meth:`disk_writes`; what is to be sent meanwhile is held back."""
        self.satisfied = False
        """Whoever pressed to answer a seat was connected, and has not asked since."""
        self.power_on(now=0.0)

    def power_on(self, *, now: float) -> None:
        self.bed = Bed(rules=self._rules, info=wire.BedInfo(group=GROUP, bed=self.user), devices=wire.Devices())
        self.writing: Kept | None = None
        self.held_back: list[wire.Message] = []
        self.offer_due = ""
        self.answered = ""
        self.connected = ""
        self.timer: call_events.StartTimer | None = None
        self.does(bed_events.Restored(self.disk), now)

    @property
    def open(self) -> bool:
        """Somebody has asked, be it by a press that answers a seat and has found nobody yet."""
        return self.bed.request.is_open or self.bed.request.state is State.ANSWERING

    def does(self, event: bed_events.Event, now: float) -> None:
        for effect in self.bed.handle(event, now=now):
            match effect:
                case bed_events.Keep():
                    self.writing = effect.kept
                case bed_events.Send():
                    self.held_back.append(effect.message)
                case call_events.OpenMedia():
                    self.offer_due, self.answered, self.connected = effect.call_id, "", ""
                case call_events.RebuildMedia():
                    self.offer_due, self.answered, self.connected = effect.call_id, "", ""
                case call_events.ApplyAnswer():
                    self.answered = self.bed.call.call_id
                case call_events.CloseMedia():
                    self.offer_due = self.answered = self.connected = ""
                case call_events.StartTimer():
                    self.timer = effect
                case call_events.StopTimer():
                    self.timer = None
                case call_events.Emit(kind=call_events.Kind.BEGIN) if not self.bed.request.is_open:
                    self.satisfied = True
                case _:
                    pass
        if not self.slow or self.writing is None:
            self.disk_writes()

    def disk_writes(self) -> None:
        """What was to be kept is on the disk; only then what was to be sent is sent."""
        if self.writing is not None:
            self.disk, self.writing = self.writing, None
            self.known_elsewhere.update(closed.request_id for closed in self.disk.closed)
            if self.disk.request is not None:
                self.known_elsewhere.add(self.disk.request.request_id)
        for message in self.held_back:
            self.tells(message)
        self.held_back.clear()

    def tells(self, message: wire.Message) -> None:
        request = message.request if isinstance(message, wire.Request | wire.Snapshot) else None
        if request is not None and request.origin is not Origin.SEAT:
            assert request.request_id in self.known_elsewhere, "told before it was kept"
        self.wire.says(message)

    @property
    def safe(self) -> bool:
        """The open request is on the disk: a power cut cannot take it."""
        kept, asked = self.disk.request, request_state.kept_request(self.bed.request, now=0.0)
        return kept is not None and asked is not None and kept.request_id == asked.request_id

    def presses(self, now: float, origin: Origin = Origin.CALL_BUTTON) -> None:
        self.satisfied = False
        self.does(bed_events.CallPressed(now, f"r{next(self._number)}", origin), now)


class ModelPage:
    """A seat page, as ``call.js`` behaves."""

    def __init__(self, user: str, group: str) -> None:
        self.user = user
        self.groups = frozenset({group})
        self.wire = Wire()
        self.call_id = ""
        self.accepted = False
        self.taking = ""
        """The request its person has clicked on, until it rings."""
        self.calls_out = False
        """Its call is one to a bed, which has not answered yet."""

    def hears(self, message: wire.Message) -> None:
        match message:
            case wire.Calling() if not self.call_id:
                self.call_id, self.accepted, self.calls_out = message.call_id, False, True
            case wire.IncomingCall() if self.calls_out and message.call_id == self.call_id:
                self.wire.says(wire.Answer(call_id=message.call_id, sdp="v=0"))
                self.accepts()
            case wire.IncomingCall() if self.call_id:
                self.wire.says(wire.LineBusy(call_id=message.call_id))
            case wire.IncomingCall():
                self.call_id, self.accepted = message.call_id, False
                self.wire.says(wire.Answer(call_id=message.call_id, sdp="v=0"))
                if message.request.request_id == self.taking:
                    self.accepts()
                self.taking = ""
            case wire.Rebuild() if message.call_id == self.call_id and self.accepted:
                self.wire.says(wire.Answer(call_id=message.call_id, sdp="v=0", connection=message.connection))
            case wire.CallEnded():
                self.taking = ""
                if message.call_id == self.call_id:
                    self.leaves()
            case wire.Fault() if message.field == "request_id":
                self.taking = ""
            case wire.Fault() if message.code is ErrorCode.STALE_CALL and message.call_id == self.call_id:
                self.leaves()
            case _:
                pass

    def takes(self, request_id: str) -> None:
        self.taking = request_id
        self.wire.says(wire.TakeRequest(request_id=request_id))

    def calls(self, bed: str, call_type: CallType) -> None:
        self.wire.says(wire.CallBed(bed_user=bed, call_type=call_type))

    def accepts(self) -> None:
        self.accepted, self.calls_out = True, False
        self.wire.says(wire.Accept(call_id=self.call_id, call_type=CallType.VIDEO))

    def declines(self) -> None:
        if self.accepted:
            self.wire.says(wire.Hangup(call_id=self.call_id))
        elif self.calls_out:
            self.wire.says(wire.Cancel(call_id=self.call_id))
        else:
            self.wire.says(wire.Reject(call_id=self.call_id))
        self.leaves()

    def fails(self) -> None:
        self.wire.says(wire.CallFailed(call_id=self.call_id))
        self.leaves()

    def leaves(self) -> None:
        self.call_id, self.accepted, self.calls_out = "", False, False

    def loses_the_wire(self) -> None:
        self.wire.breaks()
        self.taking = ""
        if not self.accepted:
            self.leaves()


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
        if direction == "to_desk":
            self.desk_does(desk_events.Said(user, line.to_desk.popleft()))
        elif user in self.beds:
            message = line.from_desk.popleft()
            bed = self.beds[user]
            bed.does(bed_events.Received(message), self.now)
            its_own = isinstance(message, wire.RequestTaken) and message.request_id == bed.bed.request.request_id
            if isinstance(message, wire.RequestHeld):
                bed.known_elsewhere.add(message.request.request_id)
            if its_own or isinstance(message, wire.RequestHeld):
                bed.forgot = False
            self._heard(bed, message)
        else:
            self.pages[user].hears(line.from_desk.popleft())

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
        call_id, connection = bed.bed.call.call_id, bed.bed.call.connection
        if bed.offer_due:
            bed.offer_due = ""
            bed.does(call_events.Offered(call_id, "v=0", connection), self.now)
        elif bed.answered and not bed.connected:
            bed.connected = bed.answered
            bed.does(call_events.MediaUp(call_id, self.now, connection), self.now)
        else:
            return False
        return True

    def media_break(self, bed: ModelBed) -> None:
        call = bed.bed.call
        bed.does(call_events.MediaDown(call.call_id, "broken", self.now, call.connection), self.now)

    def media_stall(self, bed: ModelBed) -> None:
        call = bed.bed.call
        bed.does(call_events.MediaStalled(call.call_id, "nothing comes", self.now, call.connection), self.now)

    def bed_timer_ends(self, bed: ModelBed) -> None:
        timer, bed.timer = bed.timer, None
        assert timer is not None
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
            assert ledger.requests[lease.request_id].call_id == lease.call_id
            seat = ledger.seats.get(lease.seat)
            if seat is not None and seat.connected:
                assert seat.call_id == lease.call_id
        for seat in ledger.seats.values():
            bound = seat.state in (SeatState.RINGING, SeatState.BUSY)
            assert bound == (seat.call_id is not None)
            if bound:
                assert ledger.leases[seat.call_id or ""].seat == seat.user_id
        for kept in ledger.requests.values():
            lease = ledger.leases.get(kept.call_id or "")
            assert (lease is not None) == (kept.call_id is not None)
            assert lease is None or lease.request_id == kept.told.request_id
            bound = kept.state in (RequestState.RINGING, RequestState.TALKING)
            called = kept.state is RequestState.ANSWERED and lease is not None and lease.by_seat
            assert (bound or called) == (lease is not None)
            assert lease is not None or not kept.by_seat, "what nobody asked for outlives its call"
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
            assert bed.bed.call.state is not call_events.State.IDLE, "an answer leads nowhere"
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
            assert bed.timer is not None, "a ring without an end"
        kept = self.desk.ledger.requests.get(bed.bed.request.request_id)
        if kept is None:
            assert state is State.IDLE, f"{bed.user} is {state}, and the desk knows nothing of it"
            return
        assert state in _SAME[kept.state], f"{bed.user} is {state}, the desk says {kept.state}"
        if kept.state is RequestState.TALKING:
            assert kept.call_id == bed.bed.call.call_id == bed.bed.request.call_id
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
