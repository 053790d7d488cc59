"""The patient's device: wires buttons, lamp, request, call, media and signaling together.

One event loop; everything here runs on its thread. What decides is in ``request.py`` and ``call.py``; this shell
feeds them events and performs their effects, in order, and nothing else.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from kiosk.bedside import call, call_events, request, request_events
from kiosk.bedside.buttons import Actions, ButtonWatch
from kiosk.bedside.call_events import Kind
from kiosk.bedside.calling import Calling
from kiosk.bedside.devices import Devices
from kiosk.bedside.notify import Notifier
from kiosk.bedside.prompts import words
from kiosk.bedside.request_events import LampSign, Link, View
from kiosk.bedside.watchers import Watchers
from kiosk.hardware.lamp import LampPattern
from kiosk.media.session import DeviceFault
from kiosk.settings import Settings
from kiosk.signaling import messages as wire
from kiosk.signaling.client import Client, Listener
from kiosk.signaling.messages import CallType, EndReason, ErrorCode, Priority

log = logging.getLogger(__name__)

LAMP = {
    LampSign.OFF: LampPattern.OFF,
    LampSign.HEARD: LampPattern.FAST,
    LampSign.WAITING: LampPattern.SLOW,
    LampSign.TALKING: LampPattern.ON,
}


class Bedside(Listener):
    """One bed. Call :meth:`run`; the devices are closed when it ends."""

    def __init__(
        self,
        settings: Settings,
        devices: Devices,
        *,
        user_sig: Callable[[], str],
        ca_file: Path | None = None,
        watchers: Watchers | None = None,
        notifier: Notifier | None = None,
    ) -> None:
        self._settings = settings
        self._devices = devices
        self._watchers = watchers or Watchers()
        self._notifier = notifier or Notifier()
        self._client = Client(
            url=settings.signaling.url,
            ca_file=ca_file,
            user_id=settings.signaling.user_id,
            sdk_app_id=settings.signaling.sdk_app_id,
            user_sig=user_sig,
            listener=self,
        )
        rules = request.Rules(
            call_type=CallType.AUDIO if settings.call.type == "audio" else CallType.VIDEO,
            seat=settings.call.seat,
            priority=Priority[settings.bed.priority.upper()],
            urgent_after_presses=settings.call.urgent_after_presses,
        )
        self._request = request.RequestState(rules=rules)
        self._calling = Calling(
            devices,
            ice_servers=settings.media.ice_servers,
            watchers=self._watchers,
            send=self._client.send,
            tell=self._call_told,
            faulted=self._device_fault,
        )
        self._ring_s = call_events.DEFAULT_RING_S
        self._watches: list[ButtonWatch] = []
        self._faults = devices.faults

    @property
    def view(self) -> View:
        """What the bed shows now."""
        return request.view(self._request)

    @property
    def told(self) -> str:
        """What the patient is told now, in the bed's language."""
        return words(self.view, self._settings.bed.language)

    async def run(self) -> None:
        """Work until cancelled. The button works before the desk is reached."""
        loop = asyncio.get_running_loop()
        beat: asyncio.Task[None] | None = None
        try:
            self._start_buttons()
            self._show(self.view)
            self._notifier.ready()
            if self._notifier.watchdog_s is not None:
                beat = loop.create_task(self._feed_watchdog(self._notifier.watchdog_s))
            await self._client.run()
        finally:
            self._notifier.stopping()
            if beat is not None:
                beat.cancel()
            await self._close()

    def _start_buttons(self) -> None:
        buttons = self._settings.buttons
        cancel = Actions(pressed=self._cancel_pressed, held=self._cancel_held)
        if not buttons.cancel_hold:
            cancel = Actions(pressed=self._cancel_held)
        hold = buttons.cancel_hold or None
        for button, actions, hold_s in (
            (self._devices.call_button, Actions(pressed=self._call_pressed), None),
            (self._devices.cancel_button, cancel, hold),
            (self._devices.attend_button, Actions(pressed=self._attend_pressed), None),
        ):
            if button is not None:
                watch = ButtonWatch(button, bounce=buttons.bounce, actions=actions, hold=hold_s)
                self._watches.append(watch)
                watch.start()

    async def _feed_watchdog(self, every_s: float) -> None:
        while True:
            self._notifier.alive()
            await asyncio.sleep(every_s)

    async def _close(self) -> None:
        for watch in self._watches:
            watch.close()
        await self._calling.close()
        self._devices.lamp.show(LampPattern.OFF)
        self._devices.lamp.close()

    # -- buttons

    def _call_pressed(self, at: float) -> None:
        self._watchers.trace("edge", ago=time.monotonic() - at)
        self._request_step(request_events.Press(at, secrets.token_hex(16)))

    def _cancel_pressed(self, at: float) -> None:
        if self._calling.call.state is call_events.State.CONNECTED:
            self._calling.step(call_events.Hangup(at))

    def _cancel_held(self, at: float) -> None:
        if self._calling.call.state is call_events.State.CONNECTED:
            self._calling.step(call_events.Hangup(at))
        else:
            self._request_step(request_events.Cancel())

    def _attend_pressed(self, at: float) -> None:
        self._request_step(request_events.Attend())

    # -- the desk (Listener)

    def link_up(self, login: wire.LoginOk) -> wire.Snapshot:
        """Logged in."""
        log.info("- connected to the desk")
        self._ring_s = login.ring_timeout_ms / 1000
        self._request_step(request_events.LinkChanged(Link.UP))
        bed = self._settings.bed
        return wire.Snapshot(
            id=self._client.new_id(),
            bed=wire.BedInfo(group=bed.group, ward=bed.ward, room=bed.room, bed=bed.bed, language=bed.language),
            request=request.open_request(self._request, now=time.monotonic()),
            closed=self._request.closed,
            devices=self._faults,
        )

    def link_down(self, why: str) -> None:
        """The desk cannot be reached."""
        self._lost(Link.DOWN)

    def refused(self, code: str, why: str) -> None:
        """The desk does not know us."""
        self._lost(Link.REFUSED)

    def kicked_out(self, why: str) -> None:
        """Another device has our user id."""
        self._calling.step(call_events.KickedOut(time.monotonic()))
        self._lost(Link.REFUSED)

    def received(self, message: wire.Message) -> None:
        """A message of the desk."""
        _RECEIVED.get(type(message), Bedside._ignore)(self, message)

    def _lost(self, link: Link) -> None:
        self._calling.step(call_events.LinkDown())
        self._request_step(request_events.LinkChanged(link))

    def _taken(self, message: wire.RequestTaken) -> None:
        self._watchers.trace("taken")
        self._request_step(
            request_events.Taken(message.request_id, place=message.place, retry_later=message.retry_later)
        )

    def _closed(self, message: wire.RequestClosed) -> None:
        self._request_step(request_events.ClosedAtDesk(message.request_id, message.reason))

    def _held(self, message: wire.RequestHeld) -> None:
        self._request_step(request_events.Held(message.request, time.monotonic()))

    def _allocated(self, message: wire.Allocated) -> None:
        if message.request_id != self._request.request_id:
            self._client.send(wire.Cancel(call_id=message.call_id))
            return
        self._watchers.trace("allocated", message.call_id)
        self._calling.step(
            call_events.Call(
                message.call_id,
                message.seat,
                message.fence,
                self._request.rules.call_type,
                ring_s=self._ring_s,
            )
        )

    def _ringing(self, message: wire.Ringing) -> None:
        self._calling.step(call_events.Ringing(message.call_id))

    def _answer(self, message: wire.Answer) -> None:
        self._calling.step(call_events.Answered(message.call_id, message.sdp))

    def _candidate(self, message: wire.Candidate) -> None:
        self._calling.step(
            call_events.CandidateFound(message.call_id, message.candidate, message.sdp_mid, message.sdp_mline_index)
        )

    def _accepted(self, message: wire.Accepted) -> None:
        self._watchers.trace("accepted", message.call_id)
        self._calling.step(call_events.Accepted(message.call_id, message.call_type, time.monotonic()))

    def _ended(self, message: wire.CallEnded) -> None:
        self._calling.step(call_events.Ended(message.call_id, message.reason, time.monotonic()))

    def _peer_media(self, message: wire.MediaState) -> None:
        self._calling.step(call_events.PeerMedia(message.call_id, message.audio, message.video))

    def _switch_to_audio(self, message: wire.SwitchToAudio) -> None:
        self._calling.step(call_events.SwitchToAudio(message.call_id))

    def _fault(self, message: wire.Fault) -> None:
        log.warning("x the desk says: %s: %s (%s)", message.code, message.message, message.field)
        if message.code is ErrorCode.STALE_CALL and message.call_id is not None:
            self._calling.step(call_events.Ended(message.call_id, EndReason.FAILED, time.monotonic()))

    def _ignore(self, message: wire.Message) -> None:
        return

    # -- the request

    def _request_step(self, event: request_events.Event) -> None:
        before = self._request.state
        self._request, effects = request.step(self._request, event)
        if self._request.state is not before:
            log.info("- request %s: %s → %s", self._request.request_id[:8], before.value, self._request.state.value)
        for effect in effects:
            self._perform_request(effect)

    def _perform_request(self, effect: request_events.Effect) -> None:
        if isinstance(effect, request_events.Show | request_events.Reassure):
            self._show(effect.view)
        elif isinstance(effect, request_events.SendRequest):
            told = request.open_request(self._request, now=time.monotonic())
            if told is not None:
                self._client.send(wire.Request(id=self._client.new_id(), request=told))
        elif isinstance(effect, request_events.SendClose):
            self._client.send(
                wire.CloseRequest(id=self._client.new_id(), request_id=effect.request_id, reason=effect.reason)
            )
        elif isinstance(effect, request_events.StopCall):
            if self._calling.call.state is call_events.State.CALLING:
                self._calling.step(call_events.Cancel())
            elif self._calling.call.state is not call_events.State.IDLE:
                self._calling.step(call_events.Hangup(time.monotonic()))
        else:
            log.debug("- request ignores %r in %s", effect.event, effect.state.value)

    def _show(self, view: View) -> None:
        self._devices.lamp.show(LAMP[view.lamp])
        self._watchers.trace("lamp")
        told = words(view, self._settings.bed.language)
        self._notifier.status(told)
        self._watchers.view(view, told)

    # -- the call tells its story

    def _call_told(self, event: call_events.Emit) -> None:
        log.info(
            "- call %s: %s %s %s",
            event.call_id,
            event.kind.value,
            f"{event.duration:.1f} s" if event.kind is Kind.END else event.seat,
            event.why,
        )
        self._watchers.trace(event.kind.value, event.call_id)
        if event.kind is Kind.RINGING:
            self._request_step(request_events.SeatRings())
        elif event.kind is Kind.BEGIN:
            self._call_began(event)
        elif event.kind is Kind.END and event.broken:
            self._request_step(request_events.CallBroke(self._calling.spoken))
        elif event.kind is Kind.END:
            self._request_step(request_events.CallEnded(self._calling.spoken))
        elif event.kind in call.ENDINGS:
            self._request_step(request_events.SeatStopped())

    def _device_fault(self, event: DeviceFault) -> None:
        log.warning("x %s: %s", event.device, event.words)
        self._faults = msgspec.structs.replace(self._faults, **{event.device: event.words[:200]})
        self._client.send(wire.DeviceState(devices=self._faults))

    def _call_began(self, event: call_events.Emit) -> None:
        self._request_step(request_events.CallConnected(event.call_id, event.seat, self._calling.call.fence))
        self._client.send(
            wire.MediaState(
                call_id=event.call_id,
                audio=self._devices.microphone is not None,
                video=self._devices.camera is not None and self._calling.call.call_type is CallType.VIDEO,
            )
        )


_RECEIVED: dict[type[wire.Message], Callable[[Bedside, Any], None]] = {
    wire.RequestTaken: Bedside._taken,
    wire.RequestClosed: Bedside._closed,
    wire.RequestHeld: Bedside._held,
    wire.Allocated: Bedside._allocated,
    wire.Ringing: Bedside._ringing,
    wire.Answer: Bedside._answer,
    wire.Candidate: Bedside._candidate,
    wire.Accepted: Bedside._accepted,
    wire.CallEnded: Bedside._ended,
    wire.MediaState: Bedside._peer_media,
    wire.SwitchToAudio: Bedside._switch_to_audio,
    wire.Fault: Bedside._fault,
}
