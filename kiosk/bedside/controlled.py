"""The bed as the control socket sees it: how it is, and its self-test.

Runs on the event loop's thread. A self-test begins only while nobody needs the bed, and ends at once when somebody
does (:meth:`Controlled.needed`), before anything else is done for them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from kiosk import __version__
from kiosk.bedside import bed as beds
from kiosk.bedside import request_events
from kiosk.bedside.buttons import ButtonWatch
from kiosk.bedside.call_quality import QualityLog
from kiosk.bedside.devices import Devices
from kiosk.bedside.self_test import Around, Loan, SelfTest, Wanted, lines, press_of
from kiosk.bedside.shared_lamp import SharedLamp
from kiosk.check.around import DeskSeen
from kiosk.check.examiner import Examiner
from kiosk.check.findings import Part, Report
from kiosk.control import messages
from kiosk.control.address import path_of
from kiosk.control.messages import Refusal
from kiosk.control.server import ControlServer, SelfTestRefused, Served
from kiosk.hardware.microphone import Microphone
from kiosk.hardware.speaker import Speaker
from kiosk.media.call_devices import CallDevices
from kiosk.media.relays import Relays
from kiosk.settings import Settings
from kiosk.signaling.client import Client

FRESH_S = 1.0
"""A device that moved longer ago is closed, or stalls: its last level is none."""


class Controlled(Served):
    """*bed* and what is around it. *told*: what the patient is told now."""

    def __init__(
        self,
        settings: Settings,
        folder: Path,
        *,
        bed: beds.Bed,
        client: Client,
        devices: Devices,
        media: CallDevices,
        lamp: SharedLamp,
        relays: Relays,
        quality: QualityLog,
        watches: Sequence[ButtonWatch],
        told: Callable[[], str],
    ) -> None:
        self._settings = settings
        self._folder = folder
        self._bed = bed
        self._client = client
        self._devices = devices
        self._media = media
        self._lamp = lamp
        self._relays = relays
        self._quality = quality
        self._watches = watches
        self._told = told
        self._began = time.monotonic()
        self._loan: Loan | None = None
        self._testing: asyncio.Task[Report] | None = None

    @property
    def in_use(self) -> bool:
        """Somebody needs the bed: a request is open, a seat calls, or a call is on."""
        return self._bed.request.state is not request_events.State.IDLE or bool(self._bed.calls)

    def bed_moved(self) -> None:
        """To be called whenever the bed has moved, before anything follows from it."""
        loan, testing = self._loan, self._testing
        if loan is not None and testing is not None and not loan.over and self.in_use:
            loan.take_back()
            testing.cancel()

    async def run(self) -> None:
        """Serve the control socket until cancelled."""
        path = path_of(self._settings, self._folder)
        await ControlServer(path, group=self._settings.control.group, served=self).run()

    # -- the self-test

    async def self_test(self, wanted: messages.RunSelfTest, examiner: Examiner) -> Report:
        """Test the bed."""
        if self._loan is not None:
            raise SelfTestRefused(Refusal.BUSY, "another self-test runs")
        if self.in_use:
            raise SelfTestRefused(Refusal.IN_USE, "a request is open or a call is on: somebody needs this bed")
        loan = self._loan = Loan(self._devices, lamp=self._lamp, media=self._media)
        test = SelfTest(
            self._settings,
            self._folder,
            devices=self._devices,
            around_it=Around(self._seen, self._servers, self._pressed, lambda: self._bed.devices.journal),
        )
        what = Wanted(frozenset(wanted.parts or Part), relay=wanted.relay, ask=wanted.ask, press=wanted.press)
        self._testing = asyncio.create_task(test.run(loan, what, examiner))
        try:
            return await self._testing
        except asyncio.CancelledError:
            if not (loan.over and self.in_use):
                raise
            raise SelfTestRefused(
                Refusal.INTERRUPTED, "somebody needed this bed: the self-test was ended"
            ) from None
        finally:
            self._testing.cancel()
            await asyncio.gather(self._testing, return_exceptions=True)
            loan.take_back()
            self._loan = None

    async def _seen(self) -> DeskSeen:
        refused = self._bed.request.link is request_events.Link.REFUSED
        why = "" if self._client.connected else self._client.trouble or "it is being connected"
        return DeskSeen(self._settings.signaling.url, why=why, refused=refused)

    async def _pressed(self) -> float | None:
        name = self._devices.call_button.name
        return await press_of(next(watch for watch in self._watches if watch.name == name))

    async def _servers(self) -> Mapping[str, bool] | None:
        known = await self._relays.look()
        return known if known or self._client.connected else None

    # -- the state

    def state(self) -> messages.State:
        """How the bed is."""
        now = time.monotonic()
        signaling, devices = self._settings.signaling, self._devices
        names = {
            name: "" if device is None else device.name[: messages.MAX_WORDS]
            for name, device in (
                ("camera", devices.camera),
                ("microphone", devices.microphone),
                ("speaker", devices.speaker),
            )
        }
        return messages.State(
            version=__version__,
            user_id=signaling.user_id,
            bed=self._bed.info,
            up=_millis(now - self._began),
            link=self._bed.request.link.value,
            link_trouble=self._client.trouble[: messages.MAX_WORDS],
            shown=self._told()[: messages.MAX_WORDS],
            request=self._request(now),
            calls=self._calls(now),
            devices=self._bed.devices,
            buttons=self._buttons(now),
            lamp=self._lamp.lit,
            relay=None if devices.relay is None else devices.relay.closed,
            levels=self._levels(now),
            testing=self._loan is not None,
            **names,
        )

    def _request(self, now: float) -> messages.RequestState | None:
        request = self._bed.request
        if request.state is request_events.State.IDLE:
            return None
        return messages.RequestState(
            state=request.state.value,
            age=_millis(now - request.opened_at),
            presses=request.presses,
            priority=request.priority,
            origin=request.origin,
            place=request.place,
        )

    def _calls(self, now: float) -> tuple[messages.CallState, ...]:
        return tuple(
            messages.CallState(
                call_id=call.call_id,
                state=call.state.value,
                seat=call.seat,
                call_type=call.call_type,
                talking=_millis(now - call.began_at) if call.begun else None,
                at_bed=self._quality.latest("bed", call.call_id),
                at_seat=self._quality.latest("seat", call.call_id),
            )
            for call in self._bed.calls.values()
        )

    def _buttons(self, now: float) -> tuple[messages.ButtonState, ...]:
        pressed = {watch.name: watch.pressed_at for watch in self._watches}
        return tuple(
            messages.ButtonState(name=name, down=button.level(), pressed_ago=_ago(pressed.get(button.name), now))
            for name, (button, _) in lines(self._devices, self._settings).items()
        )

    def _levels(self, now: float) -> messages.Levels:
        devices = self._devices
        return messages.Levels(
            microphone=_level(devices.microphone, devices.sound.heard_dbfs, now),
            speaker=_level(devices.speaker, devices.sound.played_dbfs, now),
        )


def _level(device: Microphone | Speaker | None, dbfs: float, now: float) -> float | None:
    if device is None or now - device.moved_at > FRESH_S:
        return None
    return round(min(0.0, dbfs), 1)


def _ago(at: float | None, now: float) -> int | None:
    return None if at is None else _millis(now - at)


def _millis(seconds: float) -> int:
    return max(0, round(seconds * 1000))
