"""``kiosk bench faults``: presses counted at the pins, requests counted at the desk, while everything is killed.

Many whole beds, each in a process of its own (simulated pins, bounce, taps of 5 ms), are connected to a real desk
process through a proxy that breaks their connections at random. Beds are killed (-9) at any moment: at rest,
between press and disk, between disk and desk, while a seat rings, in a talk, while they are attended. The desk is
killed (-9) again and again, whatever the beds do, and started empty. One seat takes no call, two take each and
speak, one looks on. First the same presses are made without faults.

It fails unless the presses at the pins, those on the beds' disks and those at the desk are equal, and each request
a press opened was at the desk once, with its id, and was gone after it was closed. A press counts as made when the
bed saw its edge and has it on disk; :mod:`kiosk.bench.taps` says exactly what a kill may take with it. Whoever
tapped then sees a dark lamp, and taps again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import secrets
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from kiosk import settings
from kiosk.bench.bed_process import Live
from kiosk.bench.fault_proxy import FaultProxy
from kiosk.bench.fault_schedule import FaultSchedule
from kiosk.bench.figures import HEADLINE, Figure
from kiosk.bench.killed_bed import SETTINGS_FILE, live
from kiosk.bench.pressed_bed import PressedBed, no_strike
from kiosk.bench.tally import Tally
from kiosk.bench.taps import Life
from kiosk.bench.wire_seats import DecliningSeat, LookingSeat, TalkingSeat
from kiosk.demo.ward import DeskProcess, Ward
from kiosk.errors import BudgetMissed, KioskError
from kiosk.media.interfaces import LOOPBACK, prepare_media
from kiosk.settings import Settings
from kiosk.signaling import messages as wire

PRESSES, QUICK_PRESSES = 10_000, 300
BEDS, QUICK_BEDS = 40, 20
PAUSE_S, QUICK_PAUSE_S = 0.1, 0.8
"""With few presses there is time for faults to strike between them."""
FAULT_EVERY_S = 4.0
"""To each bed's connection, on average."""
DESK_LIFE_S = (2.0, 12.0)
"""How long a desk lives, at least and at most, before it is killed."""
DESK_ABSENCE_S = 1.5
"""How long there may be no desk, besides its start."""
BED_LIFE_S = 25.0
"""On average, until a bed is killed, whatever it does."""
STRIKES = {"press": (0.04, 0.01), "at the desk": (0.02, 0.05), "close": (0.03, 0.02), "talk": (0.5, 0.5)}
"""Besides: how often a bed is killed soon after such a moment, and within how many seconds. A press is on the disk
some milliseconds after its edge, which chance alone would hardly hit."""
LOOK_AGAIN_S = 0.05
START_WITHIN_S = 90.0
STEADY_WITHIN_S = 90.0
"""When everything is calm again; longer than any fault's end."""
GROUP = "ward"
LOOKS_ON, DECLINES, TALK = "seat-looks-on", "seat-declines", ("seat-talks-1", "seat-talks-2")


@dataclass(frozen=True)
class Plan:
    """How much of it."""

    presses: int
    beds: int
    seed: int
    pause_s: float
    """Between two requests of a bed, on average."""
    faults: bool = False
    desk_life_s: tuple[float, float] = DESK_LIFE_S
    bed_life_s: float = BED_LIFE_S
    living: Live = live
    """What a bed's process does."""


@dataclass
class Outcome:
    """What came of it. Presses, but for those of *tally*."""

    tally: Tally
    taps: int = 0
    taken: int = 0
    """Taps that a kill took with it before they were on the disk, and that were made again."""
    found: int = 0
    """On the disk of a killed bed that had not come to say so."""
    at_the_pin: int = 0
    on_disk: int = 0
    stretched: int = 0
    """Presses more than taps: the machine stretched a tap's chatter beyond the bounce time."""
    talks: int = 0
    took_s: float = 0.0
    injected: Counter[str] = field(default_factory=Counter)
    kills: Counter[str] = field(default_factory=Counter)
    """Beds killed, by what was going on."""
    odd: list[str] = field(default_factory=list)
    """What a bed's taps, presses, disk and lamp have against each other."""

    @property
    def wrong(self) -> str:
        """What does not add up, from the finger to the seat; empty when everything does."""
        counts = (self.at_the_pin, self.on_disk, self.tally.presses)
        unequal = (
            "" if len(set(counts)) == 1 else "{} presses at the pins, {} on disk, {} at the desk".format(*counts)
        )
        return "; ".join(filter(None, (unequal, *self.odd, self.tally.wrong)))


async def run(*, quick: bool, presses: int | None = None, seed: int | None = None) -> int:
    """Measure, print, and raise :exc:`BudgetMissed` when something was lost or doubled."""
    logging.getLogger("kiosk").setLevel(logging.CRITICAL)  # ten thousand lost links are what is wanted here
    seed = secrets.randbelow(2**32) if seed is None else seed
    presses = presses or (QUICK_PRESSES if quick else PRESSES)
    calm = Plan(presses, QUICK_BEDS if quick else BEDS, seed, QUICK_PAUSE_S if quick else PAUSE_S)
    print(f"{presses} presses at {calm.beds} beds, without faults and with them; seed {seed}", flush=True)
    outcomes = [await measure(plan) for plan in (calm, replace(calm, faults=True))]
    _report(*outcomes)
    return 0


async def measure(plan: Plan) -> Outcome:
    """One run of *plan*."""
    with tempfile.TemporaryDirectory(prefix="kiosk-bench-") as folder:
        made = _settings()
        prepare_media(made.media.interfaces)  # of the seat that talks
        ward = Ward(Path(folder), made)
        ward.prepare()
        async with _desk_behind_proxy(ward, plan) as bench:
            return await bench.press_all()


def _settings() -> Settings:
    seats = tuple(settings.Seat(user_id=user_id, groups=(GROUP,)) for user_id in (LOOKS_ON, DECLINES, *TALK))
    return Settings(
        call=settings.Call(type="audio"),
        bed=settings.Bed(group=GROUP, language="en"),
        buttons=settings.Buttons(simulated=True, cancel_hold=0.0),
        audio=settings.Audio(microphone="none", speaker="none"),
        video=settings.Video(camera="none"),
        media=settings.Media(interfaces=(LOOPBACK,)),
        desk=settings.Desk(port=0, wrap_up=0.0, next_round=2.0, seats=seats),
    )


class _KilledDesk:
    """The desk process, and where it is now."""

    def __init__(self, ward: Ward) -> None:
        self._ward = ward
        self._desk: DeskProcess | None = None
        self._address = ("127.0.0.1", 9)  # discard: nobody listens
        self.kills = 0

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens, or listened last."""
        return self._address

    @property
    def ws_url(self) -> str | None:
        """None while it is dead."""
        return None if self._desk is None else f"ws://{self._address[0]}:{self._address[1]}/ws"

    async def start(self) -> None:
        """A desk that knows nothing of any request."""
        self._desk = await self._ward.start_desk()
        url = urlsplit(self._desk.url)
        assert url.hostname is not None
        assert url.port is not None
        self._address = ("127.0.0.1", url.port)

    async def kill(self) -> None:
        """As the kernel does it when memory runs out, or a power cut."""
        assert self._desk is not None
        self.kills += 1
        desk, self._desk = self._desk, None
        desk.process.kill()
        await desk.process.wait()

    async def stop(self) -> None:
        """In an orderly way."""
        if self._desk is not None:
            await self._desk.stop()


class _Bench:
    """Everything of one run, ready."""

    def __init__(self, plan: Plan, ward: Ward, desk: _KilledDesk, proxy: FaultProxy) -> None:
        self._plan = plan
        self._ward = ward
        self._desk = desk
        self._chance = random.Random(plan.seed)  # noqa: S311  (draws faults, guards nothing)
        self._schedule = FaultSchedule(proxy, self._chance, every_s=FAULT_EVERY_S / plan.beds)
        self._tally = Tally()
        self._looking = LookingSeat(lambda: desk.ws_url, self._login(LOOKS_ON), self._see)
        self._declining = DecliningSeat(lambda: desk.ws_url, self._login(DECLINES), self._chance)
        self._talking = [TalkingSeat(lambda: desk.ws_url, self._login(user_id), self._chance) for user_id in TALK]
        self._beds = [self._bed(f"bed-{number}", proxy.port) for number in range(plan.beds)]

    def _login(self, user_id: str) -> wire.Login:
        return wire.Login(
            user_id=user_id,
            sdk_app_id=self._ward.settings.desk.sdk_app_id,
            user_sig=self._ward.registry().issue(user_id, now=int(time.time())),
        )

    def _bed(self, user_id: str, port: int) -> PressedBed:
        made = self._ward.settings
        signaling = msgspec.structs.replace(made.signaling, url=f"ws://127.0.0.1:{port}/ws", user_id=user_id)
        bed = msgspec.structs.replace(made.bed, bed=user_id)
        made = msgspec.structs.replace(made, signaling=signaling, bed=bed)
        folder = self._ward.folder / user_id
        folder.mkdir()
        settings.save(made, folder / SETTINGS_FILE)
        settings.write_secret(folder / made.signaling.user_sig_file, self._login(user_id).user_sig)
        return PressedBed(
            folder,
            bounce_s=made.buttons.bounce,
            tally=self._tally,
            chance=random.Random(self._chance.random()),  # noqa: S311  (its own: beds do not disturb each other)
            pause_s=self._plan.pause_s,
            journal=folder / made.state.folder,
            living=self._plan.living,
        )

    def _see(self, requests: Sequence[wire.RequestView], at: float) -> None:
        self._tally.see(requests, at=at)
        for bed in self._beds:
            bed.look()

    async def press_all(self) -> Outcome:
        """Press, and break things meanwhile; then calm down and look once more."""
        seats = [asyncio.create_task(seat.run()) for seat in (self._looking, self._declining, *self._talking)]
        breaking: list[asyncio.Task[None]] = []
        for bed in self._beds:
            bed.start()
        try:
            await self._steady("every bed is connected", within_s=START_WITHIN_S)
            began = time.monotonic()
            if self._plan.faults:
                faults = (self._schedule.run(), self._kill_desks(), self._kill_beds())
                breaking = [asyncio.create_task(fault) for fault in faults]
            await self._live()
            took_s = time.monotonic() - began
            await _cancelled(breaking)
            if self._desk.ws_url is None:
                await self._desk.start()
            what = "every bed is connected again and what was closed has left the board"
            await self._steady(what, within_s=STEADY_WITHIN_S)
        finally:
            for task in (*breaking, *seats):
                task.cancel()
            await asyncio.gather(*breaking, *seats, return_exceptions=True)
            stopped = await asyncio.gather(*(bed.stop() for bed in self._beds), return_exceptions=True)
        for error in stopped:
            if isinstance(error, BaseException):
                raise error
        return self._outcome(took_s)

    async def _live(self) -> None:
        each, more = divmod(self._plan.presses, len(self._beds))
        for bed in self._beds:
            bed.strike = self._strike if self._plan.faults else no_strike
        async with asyncio.TaskGroup() as living:
            for number, bed in enumerate(self._beds):
                living.create_task(bed.live(each + (number < more)))
        for bed in self._beds:
            bed.strike = no_strike

    def _strike(self, moment: str) -> float | None:
        how_often, within_s = STRIKES[moment]
        return self._chance.uniform(0, within_s) if self._chance.random() < how_often else None

    async def _kill_beds(self) -> None:
        while True:
            await asyncio.sleep(self._chance.expovariate(len(self._beds) / self._plan.bed_life_s))
            self._chance.choice(self._beds).kill()

    async def _kill_desks(self) -> None:
        while True:
            await asyncio.sleep(self._chance.uniform(*self._plan.desk_life_s))
            await self._desk.kill()
            await asyncio.sleep(self._chance.uniform(0, DESK_ABSENCE_S))
            await self._desk.start()

    async def _steady(self, what: str, *, within_s: float) -> None:
        end = time.monotonic() + within_s
        while self._looking.beds_online < len(self._beds) or self._tally.left_over:
            if time.monotonic() > end:
                if self._tally.wrong:
                    return  # that is a result
                raise KioskError(f"bench faults: not within {within_s:.0f} s: {what}")
            await asyncio.sleep(LOOK_AGAIN_S)

    def _outcome(self, took_s: float) -> Outcome:
        beds = self._beds
        lives = [life for bed in beds for life in bed.lives]
        kills = sum((bed.kills for bed in beds), Counter[str]())
        injected = Counter(self._schedule.injected)
        injected["desk kill"], injected["bed kill"] = self._desk.kills, kills.total()
        taken = sum(bed.taken for bed in beds)
        taps = sum(bed.taps for bed in beds)
        at_the_pin = sum(life.at_the_pin for life in lives)
        odd = [f"{bed.user_id}: {what}" for bed in beds for what in (*bed.wrong, *_odd(bed.lives))]
        return Outcome(
            self._tally,
            taps=taps,
            taken=taken,
            found=sum(bed.found for bed in beds),
            at_the_pin=at_the_pin,
            on_disk=sum(life.on_disk for life in lives),
            stretched=at_the_pin - (taps - taken),
            talks=sum(bed.talks for bed in beds),
            took_s=took_s,
            injected=+injected,
            kills=kills,
            odd=odd,
        )


def _odd(lives: Sequence[Life]) -> list[str]:
    return [what for life in lives for what in life.wrong]


async def _cancelled(tasks: Sequence[asyncio.Task[None]]) -> None:
    """Cancel *tasks*; raises what one of them had ended with."""
    for task in tasks:
        task.cancel()
    for ended in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(ended, Exception):
            raise ended


@contextlib.asynccontextmanager
async def _desk_behind_proxy(ward: Ward, plan: Plan) -> AsyncIterator[_Bench]:
    desk = _KilledDesk(ward)
    await desk.start()
    try:
        chance = random.Random(plan.seed + 1)  # noqa: S311  (jitter)
        async with FaultProxy(lambda: desk.address, chance) as proxy:
            yield _Bench(plan, ward, desk, proxy)
    finally:
        await desk.stop()


def _report(calm: Outcome, faulty: Outcome) -> None:
    named = (("without faults", calm), ("with faults", faulty))
    print(f"\n{HEADLINE}")
    for name, outcome in named:
        print(Figure(f"finger → on the seat's board, {name}", outcome.tally.delays_ms).row())
    print()
    for name, outcome in named:
        tally = outcome.tally
        print(
            f"{name:<15} {outcome.at_the_pin} presses at the pins, {outcome.on_disk} on disk, {tally.presses} at"
            f" the desk; {len(tally.asked)} requests, {tally.seen} at the desk, {len(tally.lost)} lost,"
            f" {len(tally.doubles)} double, {len(tally.miscounted)} miscounted; {outcome.talks} talks;"
            f" {outcome.took_s:.0f} s\n"
            f"{'':<15} {outcome.taps} taps: {outcome.taken} taken by a kill before the disk and made again,"
            f" {outcome.stretched} more presses than taps (stretched by the machine);"
            f" {outcome.found} presses known from a killed bed's journal only"
        )
    print("faults          " + _counts(faulty.injected))
    print("beds killed     " + _counts(faulty.kills))
    wrong = [f"{name}: {outcome.wrong}" for name, outcome in named if outcome.wrong]
    if wrong:
        raise BudgetMissed(f"bench faults: {'; '.join(wrong)}")
    print(
        f"\nno request was lost or doubled: {faulty.at_the_pin} presses, {len(faulty.tally.asked)} requests,"
        f" {faulty.injected.total()} faults"
    )


def _counts(counted: Counter[str]) -> str:
    return ", ".join(f"{count} {what}" for what, count in sorted(counted.items()))
