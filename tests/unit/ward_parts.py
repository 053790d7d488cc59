"""The parts of the model ward: a wire that can break, a bed whose media and disk do as told, a seat page."""

from __future__ import annotations

import itertools
from collections import deque
from dataclasses import dataclass, field

from kiosk.bedside import bed_events, call_events, media_effects, request_state
from kiosk.bedside.bed import Bed
from kiosk.bedside.journal import Kept
from kiosk.bedside.request_events import State
from kiosk.signaling import messages as wire
from kiosk.signaling.messages import CallType, ErrorCode, Origin

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
        self.offers_due: set[str] = set()
        self.answered: set[str] = set()
        self.timers: dict[str, media_effects.StartTimer] = {}
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
                case media_effects.OpenMedia() | media_effects.RebuildMedia():
                    self.answered.discard(effect.call_id)
                    self.offers_due.add(effect.call_id)
                case media_effects.ApplyAnswer():
                    self.answered.add(effect.call_id)
                case media_effects.CloseMedia():
                    self.offers_due.discard(effect.call_id)
                    self.answered.discard(effect.call_id)
                case media_effects.StartTimer():
                    self.timers[effect.call_id] = effect
                case media_effects.StopTimer():
                    self.timers.pop(effect.call_id, None)
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
        self.members: dict[str, str] = {}
        """Who is in its talk, as it was told last: seats and their states."""

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
            case wire.Members() if message.call_id == self.call_id:
                self.members = {member.user_id: member.state for member in message.members}
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

    def asks_in(self, seat: str) -> None:
        self.wire.says(wire.AddSeat(call_id=self.call_id, user_id=seat))

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
        self.members = {}

    def loses_the_wire(self) -> None:
        self.wire.breaks()
        self.taking = ""
        if not self.accepted:
            self.leaves()
