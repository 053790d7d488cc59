"""The patient's device: wires buttons, lamp, request, call, media and signaling together.

One event loop; everything here runs on its thread. What decides is in ``bed.py``; this shell feeds it events and
performs its effects, in order, and nothing else.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from kiosk.bedside import (
    bed,
    bed_events,
    call_events,
    call_state,
    debounce,
    progress,
    request_events,
    request_state,
)
from kiosk.bedside.buttons import Actions, ButtonWatch
from kiosk.bedside.call_events import Kind
from kiosk.bedside.call_media import CallMedia
from kiosk.bedside.call_quality import QualityLog
from kiosk.bedside.controlled import Controlled
from kiosk.bedside.devices import Devices
from kiosk.bedside.journal import Kept
from kiosk.bedside.journal_file import JournalFile
from kiosk.bedside.keeper import Keeper
from kiosk.bedside.prompts import words
from kiosk.bedside.request_events import LampSign, View
from kiosk.bedside.shared_lamp import SharedLamp
from kiosk.bedside.supervisor import Part, supervise
from kiosk.bedside.watchers import Watchers
from kiosk.hardware.lamp import LampPattern
from kiosk.media.relays import Relays
from kiosk.notify import Notifier
from kiosk.settings import Settings
from kiosk.signaling import messages as wire
from kiosk.signaling.client import Client, Listener
from kiosk.signaling.messages import CallType, Origin, Priority

log = logging.getLogger(__name__)

LAMP = {
    LampSign.OFF: LampPattern.OFF,
    LampSign.HEARD: LampPattern.FAST,
    LampSign.WAITING: LampPattern.SLOW,
    LampSign.TALKING: LampPattern.ON,
    LampSign.CALLED: LampPattern.DOUBLE,
}

TRACED: dict[type[wire.Message], str] = {
    wire.RequestTaken: "taken",
    wire.Allocated: "allocated",
    wire.Accepted: "accepted",
}


class Bedside(Listener):
    """One bed. Call :meth:`run`; the devices are closed when it ends. *folder* is that of the settings file."""

    def __init__(
        self,
        settings: Settings,
        devices: Devices,
        *,
        journal: JournalFile,
        user_sig: Callable[[], str],
        folder: Path,
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
        place = settings.bed
        self._bed = bed.Bed(
            rules=request_state.Rules(
                call_type=CallType.AUDIO if settings.call.type == "audio" else CallType.VIDEO,
                seat=settings.call.seat,
                priority=Priority[place.priority.upper()],
                urgent_after_presses=settings.call.urgent_after_presses,
                answer_s=settings.call.answer_after if settings.call.answer == "auto" else None,
            ),
            info=wire.BedInfo(
                group=place.group, ward=place.ward, room=place.room, bed=place.bed, language=place.language
            ),
            devices=devices.faults,
        )
        self._keeper = Keeper(journal, report=self._journal_changed, kept=self._kept)
        self._relays = Relays(settings.media.ice_servers)
        self._media = CallMedia(
            devices,
            relays=self._relays,
            relay_only=settings.media.relay_only,
            video=settings.video,
            watchers=self._watchers,
            report=self._do,
        )
        self._quality = QualityLog(self._watchers.quality)
        buttons = settings.buttons
        self._lines: dict[Origin, tuple[bed_events.Device, str]] = {
            Origin.CALL_BUTTON: ("button", buttons.call_wiring),
            Origin.BATHROOM: ("bathroom", buttons.bathroom_wiring),
            Origin.STAFF: ("staff", "normally_open"),
        }
        self._watches: list[ButtonWatch] = []
        self._lamp = SharedLamp(devices.lamp)
        self._controlled = Controlled(
            settings,
            folder,
            bed=self._bed,
            client=self._client,
            devices=devices,
            media=self._media.devices,
            lamp=self._lamp,
            relays=self._relays,
            quality=self._quality,
            watches=self._watches,
            told=lambda: self.told,
        )
        self._talking_since: float | None = None

    @property
    def view(self) -> View:
        """What the bed shows now."""
        return request_state.view(self._bed.request)

    @property
    def told(self) -> str:
        """What the patient is told now, in the bed's language."""
        return words(self.view, self._settings.bed.language)

    @property
    def request_id(self) -> str:
        """The open request's id; empty when there is none."""
        return self._bed.request.request_id

    async def run(self) -> None:
        """Work until cancelled. The button works before the desk is reached.

        Raises :exc:`~kiosk.bedside.supervisor.PartsFail` when the process had better be started anew.
        """
        try:
            self._do(bed_events.Restored(self._keeper.restore()))
            self._keeper.start()
            self._start_buttons()
            self._show(self.view)
            self._notifier.ready()
            await supervise(self._parts())
        finally:
            self._notifier.stopping()
            await self._close()

    def _parts(self) -> dict[str, Part]:
        parts: dict[str, Part] = {f"button {watch.name}": watch.run for watch in self._watches}
        parts["signaling"] = self._signal
        parts["relays"] = self._relays.run
        parts["control"] = self._controlled.run
        every_s = self._notifier.watchdog_s
        if every_s is not None:
            parts["watchdog"] = lambda: self._feed_watchdog(every_s)
        return parts

    async def _signal(self) -> None:
        try:
            await self._client.run()
        except Exception:
            self._do(bed_events.LinkDown())  # the patient is not left with what was so before
            raise

    def _start_buttons(self) -> None:
        buttons = self._settings.buttons
        cancel = Actions(pressed=self._cancel_pressed, held=self._cancel_held)
        if not buttons.cancel_hold:
            cancel = Actions(pressed=self._cancel_held)
        hold = buttons.cancel_hold or None
        for button, actions, hold_s, stuck_s in (
            (self._devices.call_button, self._asks(Origin.CALL_BUTTON), None, debounce.STUCK_S),
            (self._devices.bathroom_button, self._asks(Origin.BATHROOM), None, debounce.STUCK_S),
            (self._devices.staff_button, self._asks(Origin.STAFF), None, debounce.STUCK_S),
            (self._devices.cancel_button, cancel, hold, None),
            (self._devices.attend_button, Actions(pressed=self._attend_pressed), None, None),
        ):
            if button is not None:
                watch = ButtonWatch(button, bounce=buttons.bounce, actions=actions, hold=hold_s, stuck=stuck_s)
                self._watches.append(watch)
                watch.start()

    async def _feed_watchdog(self, every_s: float) -> None:
        starving: tuple[str, ...] = ()
        while True:
            now = time.monotonic()
            before, starving = starving, progress.stalled(self._paths(), now=now)
            if not starving:
                self._notifier.alive()
            elif starving != before:
                log.error("x stands still: %s; the watchdog is not fed", ", ".join(starving))
            await asyncio.sleep(every_s)

    def _paths(self) -> dict[str, progress.Path]:
        """All that must go on, for the watchdog."""
        paths = {
            f"button {watch.name}": progress.Path(watch.looked_at, progress.BUTTON_WITHIN_S)
            for watch in self._watches
        }
        within_s = self._client.moves_within_s + progress.SIGNALING_SLACK_S
        paths["signaling"] = progress.Path(self._client.moved_at, within_s)
        devices = {"microphone": self._devices.microphone, "speaker": self._devices.speaker}
        audio = progress.audio(
            self._talking_since,
            {name: device.moved_at for name, device in devices.items() if device is not None},
            faulty=frozenset(name for name in devices if getattr(self._bed.devices, name)),
        )
        return paths if audio is None else {**paths, "audio": audio}

    async def _close(self) -> None:
        for watch in self._watches:
            watch.close()
        await self._media.close()
        await self._keeper.close()
        self._lamp.show(LampPattern.OFF)
        self._lamp.close()
        if self._devices.relay is not None:
            self._devices.relay.close()

    # -- buttons

    def _asks(self, origin: Origin) -> Actions:
        """What a button that asks does."""
        device, wiring = self._lines[origin]

        def pressed(at: float) -> None:
            self._watchers.pressed(at)
            self._watchers.trace("edge", ago=time.monotonic() - at)
            self._do(bed_events.CallPressed(at, secrets.token_hex(16), origin))

        def stuck(at: float) -> None:
            words = "stuck or unplugged" if wiring == "normally_closed" else "stuck"
            log.warning("x %s: %s", origin.value, words)
            self._do(bed_events.DeviceChanged(device, words, wire.FaultKind.STUCK))

        def freed(at: float) -> None:
            log.info("- %s: free again", origin.value)
            self._do(bed_events.DeviceChanged(device))

        return Actions(pressed=pressed, stuck=stuck, freed=freed)

    def _cancel_pressed(self, at: float) -> None:
        self._do(bed_events.CancelPressed())

    def _cancel_held(self, at: float) -> None:
        self._watchers.trace("cancel", ago=time.monotonic() - at)
        self._do(bed_events.CancelHeld())

    def _attend_pressed(self, at: float) -> None:
        self._do(bed_events.AttendPressed())

    # -- the desk (Listener)

    def link_up(self, login: wire.LoginOk) -> wire.Snapshot:
        """Logged in."""
        log.info("- connected to the desk")
        self._relays.take(login.ice or tuple(wire.IceServer(urls=url) for url in login.ice_servers))
        self._do(bed_events.LinkUp(login.ring_timeout_ms / 1000))
        self._keeper.settle()
        snapshot = self._bed.snapshot(now=time.monotonic())
        return msgspec.structs.replace(snapshot, id=self._client.new_id())

    def link_down(self, why: str) -> None:
        """The desk cannot be reached."""
        self._do(bed_events.LinkDown())

    def refused(self, code: str, why: str) -> None:
        """The desk does not know us."""
        self._do(bed_events.Refused())

    def kicked_out(self, why: str) -> None:
        """Another device has our user id."""
        self._do(bed_events.KickedOut())

    def received(self, message: wire.Message) -> None:
        """A message of the desk."""
        if isinstance(message, wire.Fault):
            log.warning("x the desk says: %s: %s (%s)", message.code, message.message, message.field)
        if type(message) in TRACED:
            self._watchers.trace(TRACED[type(message)])
        if isinstance(message, wire.IceServers):
            self._relays.take(message.ice)
            return
        self._do(bed_events.Received(message))

    # -- what follows

    def _do(self, event: bed_events.Event) -> None:
        request_before, calls_before = self._bed.request, dict(self._bed.calls)
        effects = self._bed.handle(event, now=time.monotonic())
        self._controlled.bed_moved()
        self._log_moves(request_before, calls_before)
        if self.request_id:
            self._client.hurry()
        if not any(on.state is call_events.State.CONNECTED for on in self._bed.calls.values()):
            self._talking_since = None
        elif self._talking_since is None:
            self._talking_since = time.monotonic()
        for effect in effects:
            self._perform(effect)

    def _log_moves(
        self, request_before: request_state.RequestState, calls_before: dict[str, call_state.CallState]
    ) -> None:
        request, calls = self._bed.request, self._bed.calls
        if request.state is not request_before.state:
            name = (request.request_id or request_before.request_id)[:8]
            log.info("- request %s: %s → %s", name, request_before.state.value, request.state.value)
        for call_id in calls_before | calls:
            before, after = (on.get(call_id, call_state.CallState()).state for on in (calls_before, calls))
            if after is not before:
                log.info("- call %s: %s → %s", call_id, before.value, after.value)

    def _perform(self, effect: bed_events.Effect) -> None:
        match effect:
            case bed_events.Keep():
                self._keeper.keep(effect.kept)
            case bed_events.Send():
                self._keeper.after(lambda: self._send(effect))
                if isinstance(effect.message, wire.Quality):
                    self._quality.note("bed", effect.message)
            case bed_events.SeatMeasured():
                self._quality.note("seat", effect.quality)
            case request_events.Show() | request_events.Reassure():
                self._show(effect.view)
            case bed_events.SwitchRelay():
                self._switch_relay(effect.closed)
            case call_events.Emit():
                self._call_told(effect)
            case request_events.Ignored() | call_events.Ignored():
                log.debug("- ignores %r in %s", effect.event, effect.state.value)
            case _:
                self._media.perform(effect)

    def _send(self, effect: bed_events.Send) -> None:
        message = effect.message
        if effect.acknowledged:
            message = msgspec.structs.replace(message, id=self._client.new_id())
        self._client.send(message)

    def _journal_changed(self, fault: str) -> None:
        self._do(bed_events.DeviceChanged("journal", fault, wire.FaultKind.NOT_KEPT if fault else None))
        self._say_status(self.told)

    def _kept(self, kept: Kept, ago: float) -> None:
        if kept.request is not None:
            self._watchers.trace("request_on_disk", ago=ago)

    def _show(self, view: View) -> None:
        self._lamp.show(LAMP[view.lamp])
        self._watchers.trace("lamp")
        told = words(view, self._settings.bed.language)
        self._say_status(told)
        self._watchers.view(view, told)

    def _say_status(self, told: str) -> None:
        fault = self._bed.devices.journal
        self._notifier.status(f"{told} [journal: {fault}]" if fault else told)

    def _switch_relay(self, closed: bool) -> None:
        if self._devices.relay is None:
            return
        self._devices.relay.switch(closed)
        log.warning("- relay to the certified nurse call: %s", "closed" if closed else "open")
        self._watchers.trace("relay_closed" if closed else "relay_open")

    def _call_told(self, event: call_events.Emit) -> None:
        log.info(
            "- call %s: %s %s %s",
            event.call_id,
            event.kind.value,
            f"{event.duration:.1f} s" if event.kind is Kind.END else event.seat,
            event.why,
        )
        self._watchers.trace(event.kind.value, event.call_id)
