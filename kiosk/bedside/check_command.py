"""``kiosk check``: asks the kiosk that runs to test itself, or tests the bed itself where none runs.

What a technician reads is printed line by line, as it is found out, in the bed's language. Exit status 0: no fault;
1: a fault; 2: it could not be tested; 3: somebody needs the bed.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from kiosk.bedside.buttons import Actions, ButtonWatch
from kiosk.bedside.devices import Devices, choose_devices, simulated_faults
from kiosk.bedside.self_test import Around, Loan, SelfTest, Wanted, lines, press_of
from kiosk.bedside.shared_lamp import SharedLamp
from kiosk.check import history, pins, screen_words, words
from kiosk.check.around import DeskSeen
from kiosk.check.examiner import Examiner
from kiosk.check.findings import Finding, Part, Report, Verdict
from kiosk.control import messages
from kiosk.control.address import path_of
from kiosk.control.client import TEST_TIMEOUT_S, ControlClient, NoAnswer, bed_at
from kiosk.control.messages import Refusal
from kiosk.errors import HardwareFault, KioskError, Refused, SettingsError
from kiosk.files import read_secret
from kiosk.hardware.pins import simulated_pins
from kiosk.media.call_devices import CallDevices
from kiosk.media.interfaces import prepare_media
from kiosk.media.relays import Relays
from kiosk.settings import Settings
from kiosk.signaling.desk_login import Ticket, try_login

EXIT_FAULT = 1
EXIT_NEEDED = 3


@dataclass(frozen=True)
class Wishes:
    """What the command line asks for. *broken*: simulated faults, ``("lamp", "shorted-low")``."""

    wanted: Wanted
    as_json: bool = False
    only_running: bool = False
    """Open no device: a kiosk that starts meanwhile must find them free."""
    broken: tuple[tuple[str, str], ...] = ()


class _Result(msgspec.Struct, frozen=True, kw_only=True):
    """What ``--json`` prints: one object. ``sentences`` are those of the findings, in the bed's language."""

    verdict: Verdict
    report: Report | None = None
    sentences: tuple[str, ...] = ()
    refused: Refusal | None = None
    state: messages.State | None = None


class Screen(Examiner):
    """What the technician reads. With *as_json* nothing until the end."""

    def __init__(self, language: str, *, as_json: bool) -> None:
        self._language = language
        self._as_json = as_json
        self.calls_for_help = False
        """A press now is one that calls."""

    def say(self, key: str, **figures: object) -> None:
        """A sentence of ``screen_words.py``."""
        self._print(screen_words.says(key, self._language, **figures))

    async def found(self, finding: Finding) -> None:
        """A line of the table."""
        self._print(self._line(finding))

    async def looks(self, part: Part) -> bool | None:
        """Ask whoever sits at the terminal."""
        print(screen_words.says(f"look_{part.value}", self._language), end="", flush=True)
        answer = await _typed()
        return {"y": True, "是": True, "n": False, "否": False}.get(answer.strip().lower()[:1])

    async def press_now(self) -> None:
        """Tell whoever stands at the bed."""
        self.say("press_now", seconds=round(pins.PRESS_WITHIN_S))
        if self.calls_for_help:
            self.say("press_calls")

    def state(self, state: messages.State) -> None:
        """How the bed that runs is: only what a test cannot find out itself."""
        for call in state.calls:
            self.say("call", seat=call.seat, seconds=(call.talking or 0) // 1000)
            for key, told in (("at_bed", call.at_bed), ("at_seat", call.at_seat)):
                if told is not None:
                    where, how = screen_words.says(key, self._language), screen_words.quality(told, self._language)
                    self._print(f"  {where}: {how}")

    def result(self, report: Report | None, *, refused: Refusal | None = None, state: messages.State | None) -> int:
        """The last words; the exit status."""
        verdict = Verdict.SKIPPED if report is None else report.verdict
        if self._as_json:
            findings = () if report is None else report.findings
            sentences = tuple(words.words(finding, self._language) for finding in findings)
            told = _Result(verdict=verdict, report=report, sentences=sentences, refused=refused, state=state)
            print(msgspec.json.format(msgspec.json.encode(told)).decode())
        elif refused is not None:
            self.say(refused.value)
        else:
            self._print(screen_words.RESULTS[verdict][self._language])
        if refused is not None:
            return EXIT_NEEDED
        return EXIT_FAULT if verdict is Verdict.FAULT else 0

    def results(self, reports: Sequence[Report]) -> None:
        """Earlier results, the newest last."""
        if not reports:
            self.say("no_results")
        for report in reports:
            when = time.strftime("%Y-%m-%d %H:%M", time.localtime(report.at))
            self._print(f"{when}  {words.VERDICTS[report.verdict][self._language]}  ({report.version})")
            for finding in report.findings:
                if finding.verdict in (Verdict.FAULT, Verdict.WARNING):
                    self._print(self._line(finding))

    def _line(self, finding: Finding) -> str:
        part, verdict = words.PARTS[finding.part][self._language], words.VERDICTS[finding.verdict][self._language]
        return f"  {_padded(part, 12)}{_padded(verdict, 12)}{words.words(finding, self._language)}"

    def _print(self, line: str) -> None:
        if not self._as_json:
            print(line, flush=True)


async def _typed() -> str:
    """A line from the terminal. Not on a thread: one that waits for Enter would hold up the end of the program."""
    loop = asyncio.get_running_loop()
    typed = asyncio.Event()
    loop.add_reader(sys.stdin, typed.set)
    try:
        await typed.wait()
        return sys.stdin.readline()
    finally:
        loop.remove_reader(sys.stdin)


def _padded(text: str, width: int) -> str:
    """*text* filled up; a Chinese character is two wide on a terminal."""
    return text + " " * (width - sum(2 if ord(each) > 0x2E80 else 1 for each in text))


async def check(settings: Settings, folder: Path, wishes: Wishes) -> int:
    """Run it; returns the exit status. Raises :exc:`KioskError`."""
    screen = Screen(settings.bed.language, as_json=wishes.as_json)
    async with bed_at(path_of(settings, folder)) as bed:
        if bed is not None:
            return await _of_running(bed, wishes, screen)
        if wishes.only_running:
            raise KioskError(f"no kiosk runs with these settings (nobody listens at {path_of(settings, folder)})")
    return await _alone(settings, folder, wishes, screen)


def show_history(settings: Settings, folder: Path, *, as_json: bool) -> int:
    """Print the results that are kept; returns the exit status. Raises OSError."""
    reports = history.read(folder / settings.state.folder)
    if as_json:
        print(msgspec.json.format(msgspec.json.encode(reports)).decode())
    else:
        Screen(settings.bed.language, as_json=False).results(reports)
    return 0


async def _of_running(bed: ControlClient, wishes: Wishes, screen: Screen) -> int:
    if wishes.broken:
        raise KioskError("--broken is for a bed that does not run; break the one that runs by kiosk run --hand")
    screen.say("running")
    screen.calls_for_help = True
    state = await bed.state()
    screen.state(state)
    wanted = wishes.wanted
    await bed.say(
        messages.RunSelfTest(
            parts=tuple(part for part in Part if part in wanted.parts),
            relay=wanted.relay,
            ask=wanted.ask,
            press=wanted.press,
        )
    )
    while True:
        match await bed.hear(within_s=TEST_TIMEOUT_S):
            case messages.Found(finding=finding):
                await screen.found(finding)
            case messages.Question(part=part):
                await bed.say(messages.Looked(yes=await screen.looks(part)))
            case messages.PressNow():
                await screen.press_now()
            case messages.SelfTested(report=report):
                return screen.result(report, state=state)
            case messages.Refused(code=Refusal.IN_USE | Refusal.INTERRUPTED | Refusal.BUSY as code):
                return screen.result(None, refused=code, state=state)
            case messages.Refused(message=message):
                raise NoAnswer(message)


async def _alone(settings: Settings, folder: Path, wishes: Wishes, screen: Screen) -> int:
    ca_file = folder / settings.signaling.ca_file if settings.signaling.ca_file else None
    prepare_media(settings.media.interfaces, ca_file=ca_file)
    screen.say("alone")
    devices, pins_fault = _devices(settings, wishes.broken)
    async with _watched(settings, devices) as (loan, watch):
        desk = _Desk(settings, folder, ca_file)

        async def pressed() -> float | None:
            return await press_of(watch) if watch is not None else None

        test = SelfTest(
            settings,
            folder,
            devices=devices,
            around_it=Around(desk.seen, desk.servers, pressed),
            pins_fault=pins_fault,
        )
        return screen.result(await test.run(loan, wishes.wanted, screen), state=None)


def _devices(settings: Settings, broken: Sequence[tuple[str, str]]) -> tuple[Devices | None, str]:
    """The devices, or None and why the pins cannot be used."""
    if not settings.buttons.simulated:
        if broken:
            raise SettingsError("--broken breaks simulated devices only: set buttons.simulated = true")
        try:
            return choose_devices(settings), ""
        except HardwareFault as fault:
            return None, str(fault)
    factory = simulated_pins()
    devices = choose_devices(settings, factory=factory)
    faults = simulated_faults(settings, devices, factory)
    for part, how in broken:
        faults.break_it(part, how)
    return devices, ""


@contextlib.asynccontextmanager
async def _watched(
    settings: Settings, devices: Devices | None
) -> AsyncIterator[tuple[Loan | None, ButtonWatch | None]]:
    """The devices on loan, and the call button watched; all of it is let go afterwards."""
    if devices is None:
        yield None, None
        return
    media = CallDevices(
        camera=devices.camera, microphone=devices.microphone, speaker=devices.speaker, tell=lambda event: None
    )
    lamp = SharedLamp(devices.lamp)
    loan = Loan(devices, lamp=lamp, media=media)
    watch = ButtonWatch(devices.call_button, bounce=settings.buttons.bounce, actions=Actions())
    watch.start()
    watching = asyncio.create_task(watch.run())
    try:
        yield loan, watch
    finally:
        watching.cancel()
        loan.take_back()
        await asyncio.gather(watching, media.close(), return_exceptions=True)
        for button, _ in lines(devices, settings).values():
            button.close()
        lamp.close()
        if devices.relay is not None:
            devices.relay.close()


class _Desk:
    """The desk, asked once, as by a bed that logs in and leaves."""

    def __init__(self, settings: Settings, folder: Path, ca_file: Path | None) -> None:
        signaling = settings.signaling
        self._url = signaling.url
        self._ticket = Ticket(
            signaling.url,
            ca_file,
            signaling.user_id,
            signaling.sdk_app_id,
            lambda: read_secret(folder / signaling.user_sig_file),
        )
        self._relays = Relays(settings.media.ice_servers)
        self._seen: DeskSeen | None = None

    async def seen(self) -> DeskSeen:
        """Whether it lets this bed in."""
        if self._seen is None:
            self._seen = await self._ask()
        return self._seen

    async def _ask(self) -> DeskSeen:
        try:
            login = await try_login(self._ticket)
        except Refused as error:
            return DeskSeen(self._url, why=str(error), refused=True)
        except ConnectionError as error:
            return DeskSeen(self._url, why=str(error))
        self._relays.take(login.ice)
        return DeskSeen(self._url)

    async def servers(self) -> Mapping[str, bool] | None:
        """Which TURN and STUN servers answer."""
        seen = await self.seen()
        known = await self._relays.look()
        return known if known or not seen.why else None
