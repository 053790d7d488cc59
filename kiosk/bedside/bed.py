"""The whole bed but for its hardware: what buttons, desk and media say, and what lamp, words and wire get.

Pure: time is an argument (monotonic seconds). It joins the request (``request.py``) and the calls made for it
(``call.py``, one run for each seat) with the wire between them and the desk.

Theory of operation
===================

Rule 1. The call's story moves the request: a seat rings, a talk begins, a call ends by a person or by a fault.
Which of TUICalling's events means what to the request stands in ``call_story.py``; the others are for the log.

Rule 2. What closes the request ends its call; what ends a call never closes the request.

Rule 3. One control, one meaning: a cancel button that hung up a call when it went down cancels nothing when it is
then held, because a weak hand holds on.

Rule 4. Whatever changes what must survive a power cut is kept before anything is sent; of a call that was on,
only that people have spoken. The lamp comes before that: it says only what is true already, and waits for no disk.

Rule 5. Whatever moves the request, the relay towards the certified nurse call follows (``other_bell.py``).

Rule 6. A seat that calls is let through when nobody here waits and no other call is on; else the line is busy. The
lamp comes before the ring. A bed whose ring cannot be heard does not answer by itself, whatever is allowed.

Rule 7. What a seat is told of microphone and camera is what they do, not what the bed was built with.

Rule 8. One talk, and up to four seats in it. A further seat comes when the desk says that it joins: without a ring
here, since people speak already, and with no more than they have opened; a talk without pictures stays one. Any
other allocation during a call is answered ``line_busy``. The calls are equals: each has its own lease, its own gate
and its own end, and only a hang-up at the bed ends them all.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from kiosk.bedside import (
    call,
    call_events,
    call_state,
    call_story,
    call_wire,
    journal,
    other_bell,
    request,
    request_events,
    request_state,
)
from kiosk.bedside.bed_events import (
    AttendPressed,
    CallPressed,
    CancelHeld,
    CancelPressed,
    DeviceChanged,
    Effect,
    Event,
    Keep,
    KickedOut,
    LinkDown,
    LinkUp,
    Measured,
    OfMedia,
    PicturesShed,
    Received,
    Refused,
    Restored,
    SeatMeasured,
    Send,
    SwitchRelay,
)
from kiosk.bedside.call_events import Emit, Kind
from kiosk.bedside.request_events import Link, Reassure, Show
from kiosk.signaling import messages as wire
from kiosk.signaling.messages import MAX_MEMBERS, CallType, OpenRequest


class Bed:
    """One bed. *info* is its place, *devices* what it lacks from the start."""

    def __init__(self, *, rules: request_state.Rules, info: wire.BedInfo, devices: wire.Devices) -> None:
        self.request = request_state.RequestState(rules=rules)
        self.calls: dict[str, call_state.CallState] = {}
        """Those that are on, by their ``call_id``."""
        self.devices = devices
        self.info = info
        self._kept = journal.Kept()
        self._ring_s = call_events.DEFAULT_RING_S
        self.relay_closed = False
        self._hung_up_by_this_press = False
        self._shed: set[str] = set()
        """The calls whose path carries no pictures."""
        self._effects: list[Effect] = []
        self._now = 0.0

    def handle(self, event: Event, *, now: float) -> list[Effect]:
        """Apply *event* at *now*; return the effects to perform, in order."""
        self._effects, self._now = [], now
        if isinstance(event, OfMedia):
            self._call_step(event)
        else:
            _EVENTS[type(event)](self, event)
        self._keep()
        self._switch_relay()
        return self._effects

    @property
    def spoken(self) -> bool:
        """Speech has flowed both ways in a call that is on."""
        return any(on.spoken for on in self.calls.values())

    def snapshot(self, *, now: float) -> wire.Snapshot:
        """All the bed knows, for the desk, after each login."""
        return wire.Snapshot(
            bed=self.info,
            request=request_state.open_request(self.request, now=now),
            closed=self.request.closed,
            devices=self.devices,
        )

    # -- the journal

    def _restored(self, event: Restored) -> None:
        kept = self._kept = event.kept
        asked = None
        if kept.request is not None:
            asked = OpenRequest(
                request_id=kept.request.request_id,
                age=kept.request.age,
                presses=kept.request.presses,
                origin=kept.request.origin,
                phase=kept.request.phase,
                spoken=kept.request.spoken,
                waited=kept.request.waited,
            )
        alarm = kept.request is not None and kept.request.alarm
        self._request_step(request_events.Restored(asked, kept.closed, self._now, alarm=alarm))

    def _keep(self) -> None:
        told = request_state.kept_request(self.request, now=self._now)
        kept = journal.told(told, self.request.closed, spoken=self.spoken, alarm=self.request.alarm)
        if kept.says_the_same_as(self._kept):
            return
        self._kept = kept
        shows = [effect for effect in self._effects if isinstance(effect, Show | Reassure)]
        others = [effect for effect in self._effects if not isinstance(effect, Show | Reassure)]
        self._effects = [*shows, Keep(kept), *others]

    # -- buttons

    def _call_pressed(self, event: CallPressed) -> None:
        self._request_step(request_events.Press(event.at, event.request_id, event.origin))

    def _cancel_pressed(self, event: CancelPressed) -> None:
        state = self.request.state
        self._hung_up_by_this_press = state is request_events.State.TALKING or state in _SEAT_CALLS
        if state is request_events.State.TALKING:
            self._each_call(call_events.Hangup(self._now))
        elif self._hung_up_by_this_press:
            self._request_step(request_events.Cancel())

    def _cancel_held(self, event: CancelHeld) -> None:
        if self.request.state is request_events.State.TALKING:
            self._each_call(call_events.Hangup(self._now))
        elif not self._hung_up_by_this_press:
            self._request_step(request_events.Cancel())

    def _attend_pressed(self, event: AttendPressed) -> None:
        self._request_step(request_events.Attend())

    # -- the link

    def _link_up(self, event: LinkUp) -> None:
        self._ring_s = event.ring_s
        self._request_step(request_events.LinkChanged(Link.UP))

    def _link_down(self, event: LinkDown) -> None:
        self._lost(Link.DOWN)

    def _refused(self, event: Refused) -> None:
        self._lost(Link.REFUSED)

    def _kicked_out(self, event: KickedOut) -> None:
        self._each_call(call_events.KickedOut(self._now))
        self._lost(Link.REFUSED)

    def _lost(self, link: Link) -> None:
        self._each_call(call_events.LinkDown())
        self._request_step(request_events.LinkChanged(link))

    # -- messages of the desk

    def _received(self, event: Received) -> None:
        of_a_call = call_wire.event_of(event.message, now=self._now)
        handler = _MESSAGES.get(type(event.message))
        if of_a_call is not None:
            self._call_step(of_a_call)
        elif handler is not None:
            handler(self, event.message)

    def _taken(self, message: wire.RequestTaken) -> None:
        taken = request_events.Taken(message.request_id, place=message.place, retry_later=message.retry_later)
        self._request_step(taken)

    def _closed(self, message: wire.RequestClosed) -> None:
        self._request_step(request_events.ClosedAtDesk(message.request_id, message.reason))

    def _held(self, message: wire.RequestHeld) -> None:
        self._request_step(request_events.Held(message.request, self._now))

    def _local_alarm(self, message: wire.LocalAlarm) -> None:
        self._request_step(request_events.LocalAlarmed(message.request_id, message.on))

    def _allocated(self, message: wire.Allocated) -> None:
        if message.request_id != self.request.request_id:
            self._effects.append(Send(wire.Cancel(call_id=message.call_id)))
            return
        if message.call_id not in self.calls and not self._may_begin(message):
            self._effects.append(Send(wire.LineBusy(call_id=message.call_id)))
            return
        opened = [self.calls[talk.call_id].call_type for talk in self.request.talks]
        call_type = max(opened, default=self.request.rules.call_type)
        self._call_step(
            call_events.Call(message.call_id, message.seat, message.fence, call_type, ring_s=self._ring_s)
        )

    def _may_begin(self, message: wire.Allocated) -> bool:
        if message.joins:
            return bool(self.request.talks) and len(self.calls) < MAX_MEMBERS
        return not self.calls

    def _seat_calls(self, message: wire.SeatCalls) -> None:
        its_own = self.request.state is request_events.State.ANSWERED
        in_order = its_own and message.request_id == self.request.request_id
        if self.calls or not (in_order or self.request.state is request_events.State.IDLE):
            self._effects.append(Send(wire.LineBusy(call_id=message.call_id)))
            return
        answer_s = None if self.devices.speaker else self.request.rules.answer_s
        self._request_step(request_events.SeatCalls(message.request_id, by_itself=answer_s is not None))
        self._call_step(
            call_events.Invited(
                message.call_id,
                message.seat,
                message.fence,
                min(message.call_type, self.request.rules.call_type),
                ring_s=message.ring_timeout_ms / 1000,
                answer_s=answer_s,
            )
        )

    # -- devices

    def _device_changed(self, event: DeviceChanged) -> None:
        kinds = {device: kind for device, kind in self.devices.kinds.items() if device != event.device}
        if event.kind is not None:
            kinds[event.device] = event.kind
        words = {event.device: event.fault[: call_wire.MAX_WORDS]}
        changed = msgspec.structs.replace(self.devices, **words, kinds=kinds)
        if changed == self.devices:
            return
        self.devices = changed
        self._effects.append(Send(wire.DeviceState(devices=changed)))
        if event.device == "button":
            self._request_step(request_events.ButtonChanged(stuck=bool(event.fault)))
        elif self.devices.speaker and any(on.state is call_events.State.INVITED for on in self.calls.values()):
            self._request_step(request_events.Unheard())
            self._each_call(call_events.Unheard())
        else:
            self._tell_media()

    def _measured(self, event: Measured) -> None:
        if self._is_of_a_talk(event.quality):
            self._effects.append(Send(event.quality))

    def _seat_measured(self, message: wire.Quality) -> None:
        if self._is_of_a_talk(message):
            self._effects.append(SeatMeasured(message))

    def _is_of_a_talk(self, quality: wire.Quality) -> bool:
        return quality.call_id in self.calls and self.calls[quality.call_id].begun

    def _pictures_shed(self, event: PicturesShed) -> None:
        if event.call_id not in self.calls:
            return
        if event.shed:
            self._shed.add(event.call_id)
        else:
            self._shed.discard(event.call_id)
        self._tell_media(event.call_id)

    def _tell_media(self, *call_ids: str) -> None:
        """Tell the seats in these talks, or in all, what they get from here."""
        for on in [self.calls[call_id] for call_id in call_ids or self.calls]:
            if on.begun:
                self._effects.append(Send(self._media_state(on)))

    def _media_state(self, on: call_state.CallState) -> wire.MediaState:
        shed = on.call_id in self._shed
        video = on.call_type is CallType.VIDEO and not self.devices.camera and not shed
        return wire.MediaState(call_id=on.call_id, audio=not self.devices.microphone, video=video, steady=True)

    def _switch_relay(self) -> None:
        before, self.relay_closed = (
            self.relay_closed,
            other_bell.relay_closed(self.request, before=self.relay_closed, escalated=self.request.alarm),
        )
        if self.relay_closed is not before:
            self._effects.append(SwitchRelay(self.relay_closed))

    # -- the machines

    def _request_step(self, event: request_events.Event) -> None:
        self.request, effects = request.step(self.request, event)
        for effect in effects:
            if isinstance(effect, request_events.SendRequest):
                told = request_state.open_request(self.request, now=self._now)
                assert told is not None, "only an open request is sent"
                self._effects.append(Send(wire.Request(request=told), acknowledged=True))
            elif isinstance(effect, request_events.SendClose):
                closing = wire.CloseRequest(request_id=effect.request_id, reason=effect.reason)
                self._effects.append(Send(closing, acknowledged=True))
            elif isinstance(effect, request_events.AnswerCall):
                self._each_call(call_events.Accept())
            elif isinstance(effect, request_events.StopCall):
                self._stop_calls()
            else:
                self._effects.append(effect)

    def _stop_calls(self) -> None:
        for call_id, on in tuple(self.calls.items()):
            invited = on.state is call_events.State.INVITED
            self._step(call_id, call_events.Cancel() if invited else call_events.Hangup(self._now))

    def _call_step(self, event: OfMedia | call_events.Call | call_events.Invited | call_wire.OfACall) -> None:
        self._step(event.call_id, event)

    def _each_call(self, event: call_events.Event) -> None:
        for call_id in tuple(self.calls):
            self._step(call_id, event)

    def _step(self, call_id: str, event: call_events.Event) -> None:
        after, effects = call.step(self.calls.get(call_id, call_state.CallState()), event)
        if after.state is not call_events.State.IDLE:
            self.calls[call_id] = after
        elif call_id in self.calls:
            del self.calls[call_id]
            self._shed.discard(call_id)
        for effect in effects:
            if isinstance(effect, call_events.ForDesk):
                self._effects.append(Send(call_wire.message_of(effect)))
            else:
                self._effects.append(effect)
            if isinstance(effect, Emit):
                self._told(effect)

    def _told(self, told: Emit) -> None:
        fence = self.calls[told.call_id].fence if told.call_id in self.calls else 0
        talking = self.request.state is request_events.State.TALKING
        meaning = call_story.meaning(told, fence=fence, talking=talking)
        if meaning is not None:
            self._request_step(meaning)
        if told.kind is Kind.BEGIN:
            self._tell_media(told.call_id)


_SEAT_CALLS = (request_events.State.CALLED, request_events.State.ANSWERING)

_EVENTS: dict[type[Event], Callable[[Bed, Any], None]] = {
    Restored: Bed._restored,
    CallPressed: Bed._call_pressed,
    CancelPressed: Bed._cancel_pressed,
    CancelHeld: Bed._cancel_held,
    AttendPressed: Bed._attend_pressed,
    LinkUp: Bed._link_up,
    LinkDown: Bed._link_down,
    Refused: Bed._refused,
    KickedOut: Bed._kicked_out,
    Received: Bed._received,
    DeviceChanged: Bed._device_changed,
    Measured: Bed._measured,
    PicturesShed: Bed._pictures_shed,
}

_MESSAGES: dict[type[wire.Message], Callable[[Bed, Any], None]] = {
    wire.RequestTaken: Bed._taken,
    wire.RequestClosed: Bed._closed,
    wire.RequestHeld: Bed._held,
    wire.LocalAlarm: Bed._local_alarm,
    wire.Allocated: Bed._allocated,
    wire.SeatCalls: Bed._seat_calls,
    wire.Quality: Bed._seat_measured,
}
