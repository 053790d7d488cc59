"""Tests the bed's own parts, one after the other: the shell around the judges of ``kiosk/check``.

Runs on the event loop's thread; what blocks goes to threads. The same for a bed that runs and for ``kiosk check``
alone: what it needs of the desk it is given.

Theory of operation
===================

Rule 1. Everything that a patient may need meanwhile is on loan (:class:`Loan`). The bed takes it back at once and
whole, in the middle of anything; a test whose loan is over touches nothing more.

Rule 2. The lamp is lit before microphone or camera are opened, and as long as they are. It is read back first; if
it does not go on and off, or somebody has looked and it gives no light, nothing is captured (promise 6). What was
captured is judged and forgotten.

Rule 3. The relay is switched only when that was asked for: the other nurse call really rings.

Rule 4. A part that cannot be tested is said to be so, never left out.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kiosk import __version__
from kiosk.bedside.buttons import ButtonWatch
from kiosk.bedside.capture import Capture
from kiosk.bedside.devices import Devices
from kiosk.bedside.journal_file import FILE_NAME as JOURNAL
from kiosk.bedside.shared_lamp import SharedLamp
from kiosk.check import around, history, pins, probes
from kiosk.check import picture as pictures
from kiosk.check import sound as sounds
from kiosk.check.examiner import Examiner
from kiosk.check.findings import Finding, Part, Report, Verdict, faulty, skipped
from kiosk.hardware.button import Button
from kiosk.hardware.lamp import LampPattern
from kiosk.hardware.relay import Relay
from kiosk.hardware.selection import SWITCHED_OFF
from kiosk.media.call_devices import CallDevices, Device
from kiosk.settings import Settings, host_of, is_loopback_host

log = logging.getLogger(__name__)

LAMP_SETTLES_S = 0.1
"""From driving a pin to reading it back."""
LAMP_SHOWN_S = 1.0
LAMP_FIRST_S = 0.5
"""The lamp is lit before a device is opened."""
BLINK_S = 0.5
RELAY_SHOWN_S = 2.0
LOOK_EVERY_S = 0.1
CAPTURED = frozenset({Part.MICROPHONE, Part.SPEAKER, Part.CAMERA})

Ask = Callable[[Part], Awaitable[bool | None]]
Step = Callable[[], Coroutine[Any, Any, tuple[Finding, ...]]]


@dataclass(frozen=True)
class Wanted:
    """What is to be tested. *relay*: switch it. *ask*: the examiner is a person. *press*: wait for the button."""

    parts: frozenset[Part] = frozenset(Part)
    relay: bool = False
    ask: bool = False
    press: bool = False


class Loan:
    """Lamp, relay and devices of the bed, lent to one self-test. The loop's thread."""

    def __init__(self, devices: Devices, *, lamp: SharedLamp, media: CallDevices) -> None:
        self._lamp = lamp
        self._relay = devices.relay
        self._media = media
        self._capture: Capture | None = None
        self._relay_is_ours = False
        self.lamp_fails = False
        """Known of it meanwhile."""
        self.over = False

    def show(self, pattern: LampPattern) -> None:
        """Let the lamp show *pattern*."""
        if not self.over:
            self._lamp.borrow(pattern)

    @property
    def lit(self) -> bool:
        """Whether the lamp's pin says that it is lit."""
        return self._lamp.lit

    def switch(self, closed: bool) -> None:
        """Switch the relay."""
        if self._relay is not None and not self.over:
            self._relay_is_ours = closed
            self._relay.switch(closed)

    def open(self, capture: Capture, *, video: bool) -> None:
        """Open the devices for *capture*. Does not wait."""
        if self.over:
            return
        self._capture = capture
        self._media.lend(capture.borrower)
        self._media.open(video=video)

    def close(self) -> None:
        """Let the devices go. Does not wait: the next opening does."""
        capture, self._capture = self._capture, None
        if capture is not None:
            self._media.lend(None)
            self._media.stop()

    async def closed(self) -> None:
        """Wait until the devices are let go, unless they serve somebody else by now."""
        if not self.over:
            await self._media.close()

    def take_back(self) -> None:
        """All of it, at once, for whoever needs it more. May be called twice."""
        if self.over:
            return
        self.close()
        if self._relay_is_ours:
            self.switch(False)
        self.over = True
        self._lamp.give_back()


@dataclass(frozen=True)
class Around:
    """What a test asks of whoever runs it."""

    login: Callable[[], Awaitable[around.DeskSeen]]
    """Whether the desk lets the bed in."""
    servers: Callable[[], Awaitable[Mapping[str, bool] | None]]
    """Which TURN and STUN servers answer; None: nobody knows which there are."""
    pressed: Callable[[], Awaitable[float | None]]
    """Seconds until the call button was pressed; None: it was not, within ``pins.PRESS_WITHIN_S``."""
    journal_fault: Callable[[], str] = lambda: ""


class SelfTest:
    """Tests the bed of *settings*; *folder* is that of the settings file. *devices*: None where the pins cannot be
    used, and *pins_fault* says why."""

    def __init__(
        self,
        settings: Settings,
        folder: Path,
        *,
        devices: Devices | None,
        around_it: Around,
        pins_fault: str = "",
    ) -> None:
        self._settings = settings
        self._folder = folder
        self._devices = devices
        self._around = around_it
        self._pins_fault = pins_fault

    async def run(self, loan: Loan | None, wanted: Wanted, examiner: Examiner) -> Report:
        """Test what is *wanted*; the report is kept among the others.

        *loan* is None where there are no devices; it is over when this returns. Cancelled when it is taken back.
        """
        found: list[Finding] = []
        for about, step in self._steps(loan, wanted, examiner):
            if about & wanted.parts:
                new = [finding for finding in await step() if finding.part in wanted.parts]
                found += new
                for finding in new:
                    await examiner.found(finding)
        if loan is not None:
            loan.take_back()
            if wanted.press:
                await examiner.press_now()
                found.append(pins.judge_press("call", after_s=await self._around.pressed()))
                await examiner.found(found[-1])
        report = Report(at=int(time.time()), version=__version__, findings=tuple(found))
        await asyncio.to_thread(self._keep, report)
        return report

    def _steps(self, loan: Loan | None, wanted: Wanted, examiner: Examiner) -> list[tuple[frozenset[Part], Step]]:
        """In this order, and what each is about."""
        steps: list[tuple[frozenset[Part], Step]] = []
        if loan is None or self._devices is None:
            steps.append((frozenset({Part.BUTTON, Part.LAMP, Part.RELAY, *CAPTURED}), self._without_pins))
        else:
            devices, ask = self._devices, examiner.looks if wanted.ask else _nobody
            steps += [
                (frozenset({Part.BUTTON}), lambda: self._buttons(devices)),
                (frozenset({Part.LAMP}), lambda: _lamp(loan, ask)),
                (frozenset({Part.RELAY}), lambda: _relay(loan, devices.relay, ask, switch=wanted.relay)),
                (CAPTURED, lambda: _captured(loan, devices, wanted.parts)),
            ]
        return [
            *steps,
            (frozenset({Part.NETWORK}), self._network),
            (frozenset({Part.TIME, Part.DESK}), self._desk),
            (frozenset({Part.TURN}), self._turn),
            (frozenset({Part.DISK}), self._disk),
        ]

    def _keep(self, report: Report) -> None:
        try:
            history.add(self._folder / self._settings.state.folder, report)
        except OSError as error:
            log.warning("x the result of the self-test is not kept: %s", error.strerror)

    # -- pins

    async def _without_pins(self) -> tuple[Finding, ...]:
        return (
            *(faulty(part, "pins_unusable", why=self._pins_fault) for part in (Part.BUTTON, Part.LAMP, Part.RELAY)),
            *(skipped(part, "device_needs_lamp") for part in Part if part in CAPTURED),
        )

    async def _buttons(self, devices: Devices) -> tuple[Finding, ...]:
        wired = lines(devices, self._settings)
        levels: dict[str, list[bool]] = {name: [] for name in wired}
        for _ in range(round(pins.LOOK_S / LOOK_EVERY_S)):
            for name, (button, _) in wired.items():
                levels[name].append(button.level())
            await asyncio.sleep(LOOK_EVERY_S)
        return tuple(
            pins.judge_line(pins.Line(name, normally_closed, levels[name]))
            for name, (_, normally_closed) in wired.items()
        )

    # -- around

    async def _network(self) -> tuple[Finding, ...]:
        there = await asyncio.to_thread(probes.interfaces)
        here = is_loopback_host(host_of(self._settings.signaling.url))
        wanted = [address for address in self._settings.media.interfaces if not is_loopback_host(address)]
        return (around.judge_network(there, wanted=wanted, only_this_machine=here),)

    async def _desk(self) -> tuple[Finding, ...]:
        signaling = self._settings.signaling
        ca_file = self._folder / signaling.ca_file if signaling.ca_file else None
        door = await asyncio.to_thread(probes.ask_door, signaling.url, ca_file)
        clock = await asyncio.to_thread(door.clock)
        ticket = await asyncio.to_thread(probes.read_ticket, self._folder / signaling.user_sig_file)
        seen, now = await self._around.login(), time.time()
        return (
            around.judge_clock(clock),
            *around.judge_desk(seen, certificate_ends=door.certificate_ends, now=now),
            around.judge_ticket(ticket, now=now),
        )

    async def _turn(self) -> tuple[Finding, ...]:
        answers = await self._around.servers()
        return (around.judge_turn(answers, relay_only=self._settings.media.relay_only),)

    async def _disk(self) -> tuple[Finding, ...]:
        folder = self._folder / self._settings.state.folder
        disk = await asyncio.to_thread(probes.probe_disk, folder, folder / JOURNAL)
        fault = self._around.journal_fault()
        return (around.judge_disk(around.Disk(fault=fault) if fault else disk),)


def lines(devices: Devices, settings: Settings) -> dict[str, tuple[Button, bool]]:
    """The buttons there are by their names in the settings, and whether their lines are closed at rest."""
    buttons = settings.buttons
    return {
        name: (button, wiring == "normally_closed")
        for name, button, wiring in (
            ("call", devices.call_button, buttons.call_wiring),
            ("bathroom", devices.bathroom_button, buttons.bathroom_wiring),
            ("staff", devices.staff_button, ""),
            ("cancel", devices.cancel_button, ""),
            ("attend", devices.attend_button, ""),
        )
        if button is not None
    }


async def press_of(watch: ButtonWatch) -> float | None:
    """Seconds until the button that *watch* watches was pressed; None: not within ``pins.PRESS_WITHIN_S``."""
    began = time.monotonic()
    while time.monotonic() - began < pins.PRESS_WITHIN_S:
        if watch.pressed_at is not None and watch.pressed_at >= began:
            return watch.pressed_at - began
        await asyncio.sleep(LOOK_EVERY_S)
    return None


async def _nobody(part: Part) -> bool | None:
    return None


async def _lamp_follows(loan: Loan, *, shown_s: float = 0.0) -> tuple[bool, bool]:
    """Switch the lamp on, for *shown_s*, and off; what was read when it was to be on, and off."""
    loan.show(LampPattern.ON)
    await asyncio.sleep(LAMP_SETTLES_S)
    on = loan.lit
    await asyncio.sleep(shown_s)
    loan.show(LampPattern.OFF)
    await asyncio.sleep(LAMP_SETTLES_S)
    return on, loan.lit


async def _lamp(loan: Loan, ask: Ask) -> tuple[Finding, ...]:
    on, off = await _lamp_follows(loan, shown_s=LAMP_SHOWN_S)
    seen = None
    if on and not off:
        blinking = asyncio.create_task(_blink(loan))
        try:
            seen = await ask(Part.LAMP)
        finally:
            blinking.cancel()
            loan.show(LampPattern.OFF)
    finding = pins.judge_lamp(pins.Driven(on, off, seen))
    loan.lamp_fails = finding.verdict is Verdict.FAULT
    return (finding,)


async def _blink(loan: Loan) -> None:
    while True:
        for pattern in (LampPattern.ON, LampPattern.OFF):
            loan.show(pattern)
            await asyncio.sleep(BLINK_S)


async def _relay(loan: Loan, relay: Relay | None, ask: Ask, *, switch: bool) -> tuple[Finding, ...]:
    if relay is None:
        return (skipped(Part.RELAY, "relay_none"),)
    if relay.closed or not switch:
        return (pins.judge_relay(None, at_rest_closed=relay.closed),)
    loan.switch(True)
    try:
        await asyncio.sleep(RELAY_SHOWN_S)
        on = relay.closed
        seen = await ask(Part.RELAY) if on else None
    finally:
        loan.switch(False)
    await asyncio.sleep(LAMP_SETTLES_S)
    return (pins.judge_relay(pins.Driven(on, relay.closed, seen), at_rest_closed=False),)


async def _captured(loan: Loan, devices: Devices, parts: frozenset[Part]) -> tuple[Finding, ...]:
    """Microphone, speaker and camera, and why those that there are not are not."""
    there = {
        Part.MICROPHONE: (devices.microphone, devices.faults.microphone),
        Part.SPEAKER: (devices.speaker, devices.faults.speaker),
        Part.CAMERA: (devices.camera, devices.faults.camera),
    }
    missing = tuple(_missing(part, why) for part, (device, why) in there.items() if device is None)
    wanted = frozenset(part for part, (device, _) in there.items() if device is not None and part in parts)
    if not wanted:
        return missing
    on, off = await _lamp_follows(loan)
    if loan.lamp_fails or off or not on:
        return _in_order(*missing, *(skipped(part, "device_needs_lamp") for part in wanted))
    opened: set[Device] = {"camera"} if Part.CAMERA in wanted else set()
    opened |= {"microphone"} if devices.microphone is not None else set()
    opened |= {"speaker"} if devices.speaker is not None else set()
    loan.show(LampPattern.ON)
    await asyncio.sleep(LAMP_FIRST_S)
    capture = Capture(frozenset(opened))
    loan.open(capture, video=Part.CAMERA in wanted)
    try:
        await capture.run()
    finally:
        loan.close()
        await loan.closed()
        loan.show(LampPattern.OFF)
    found = list(missing)
    if devices.camera is not None and Part.CAMERA in wanted:
        found.append(pictures.judge(await asyncio.to_thread(capture.seen)))
    loop = await asyncio.to_thread(capture.loop)
    if devices.microphone is not None:
        found.append(sounds.judge_microphone(loop))
    if devices.speaker is not None:
        found.append(sounds.judge_speaker(loop))
    return _in_order(*found)


def _in_order(*found: Finding) -> tuple[Finding, ...]:
    return tuple(sorted(found, key=lambda finding: list(Part).index(finding.part)))


def _missing(part: Part, why: str) -> Finding:
    return skipped(part, "device_off") if why == SWITCHED_OFF else faulty(part, "device_missing", why=why)
