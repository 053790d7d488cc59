"""``kiosk bench faults``: presses counted at the buttons, requests counted at the desk, while everything breaks.

Many whole beds (simulated pins, bounce, taps of 5 ms) are connected to a real desk process through a proxy that
breaks their connections at random; the desk is killed (-9) again and again and started empty; beds are restarted in
an orderly way; one seat takes no call, one looks on. First the same presses are made without faults. It fails when
a request is lost, doubled or miscounted.

A bed killed in the middle of anything is not among the faults: what it had not yet sent lives in its journal, which
has tests of its own.
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
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from kiosk import settings
from kiosk.bench.fault_proxy import FaultProxy
from kiosk.bench.fault_schedule import FaultSchedule
from kiosk.bench.figures import HEADLINE, Figure
from kiosk.bench.pressed_bed import PressedBed
from kiosk.bench.tally import Tally
from kiosk.bench.wire_seats import DecliningSeat, LookingSeat
from kiosk.demo.ward import DeskProcess, Ward
from kiosk.errors import BudgetMissed, KioskError
from kiosk.media.interfaces import LOOPBACK, prepare_media
from kiosk.settings import Settings
from kiosk.signaling import messages as wire

PRESSES, QUICK_PRESSES = 10_000, 300
BEDS, QUICK_BEDS = 40, 20
FINGERS = 8
"""Threads that tap: so many buttons may be down at once."""
PAUSE_S, QUICK_PAUSE_S = 0.1, 1.0
"""With few presses there is time for faults to strike between them."""
FAULT_EVERY_S = 4.0
"""To each bed, on average."""
DESK_LIFE_S = (2.0, 12.0)
"""How long a desk lives, at least and at most, before it is killed."""
DESK_ABSENCE_S = 1.5
"""How long there may be no desk, besides its start."""
BED_RESTARTS = 0.04
"""The part of requests during which their bed is restarted."""
LOOK_AGAIN_S = 0.05
STEADY_WITHIN_S = 90.0
GROUP = "ward"
LOOKS_ON, DECLINES = "seat-looks-on", "seat-declines"


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


@dataclass
class Outcome:
    """What came of it."""

    tally: Tally
    taps: int = 0
    slow_taps: int = 0
    took_s: float = 0.0
    injected: Counter[str] = field(default_factory=Counter)

    @property
    def wrong(self) -> str:
        """What does not add up, from the finger to the seat; empty when everything does."""
        more = self.tally.presses - self.taps
        if 0 <= more <= self.slow_taps:
            return self.tally.wrong
        taps = f"{self.tally.presses} presses seen of {self.taps} taps"
        return "; ".join(filter(None, (taps, self.tally.wrong)))


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
        prepare_media(made.media.interfaces)
        ward = Ward(Path(folder), made)
        ward.prepare()
        async with _desk_behind_proxy(ward, plan) as bench:
            return await bench.press_all()


def _settings() -> Settings:
    seats = tuple(settings.Seat(user_id=user_id, groups=(GROUP,)) for user_id in (LOOKS_ON, DECLINES))
    return Settings(
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
        self._desk = desk
        self._chance = random.Random(plan.seed)  # noqa: S311  (draws faults, guards nothing)
        self._schedule = FaultSchedule(proxy, self._chance, every_s=FAULT_EVERY_S / plan.beds)
        self._tally = Tally()
        self._fingers = ThreadPoolExecutor(FINGERS, thread_name_prefix="finger")
        registry, now = ward.registry(), int(time.time())

        def login(user_id: str) -> wire.Login:
            sdk_app_id = ward.settings.desk.sdk_app_id
            return wire.Login(user_id=user_id, sdk_app_id=sdk_app_id, user_sig=registry.issue(user_id, now=now))

        self._looking = LookingSeat(
            lambda: desk.ws_url, login(LOOKS_ON), lambda requests, at: self._tally.see(requests, at=at)
        )
        self._declining = DecliningSeat(lambda: desk.ws_url, login(DECLINES), self._chance)
        self._beds = [self._bed(ward, f"bed-{number}", proxy.port, login) for number in range(plan.beds)]

    def _bed(self, ward: Ward, user_id: str, port: int, login: Callable[[str], wire.Login]) -> PressedBed:
        made = ward.settings
        signaling = msgspec.structs.replace(made.signaling, url=f"ws://127.0.0.1:{port}/ws", user_id=user_id)
        bed = msgspec.structs.replace(made.bed, bed=user_id)
        made = msgspec.structs.replace(made, signaling=signaling, bed=bed)
        chance = random.Random(self._chance.random())  # noqa: S311  (its own, so that beds do not disturb each other)
        return PressedBed(
            made,
            login(user_id).user_sig,
            state=ward.folder / made.state.folder / user_id,
            tally=self._tally,
            chance=chance,
            fingers=self._fingers,
            pause_s=self._plan.pause_s,
        )

    async def press_all(self) -> Outcome:
        """Press, and break things meanwhile; then calm down and look once more."""
        seats = [asyncio.create_task(seat.run()) for seat in (self._looking, self._declining)]
        breaking: list[asyncio.Task[None]] = []
        for bed in self._beds:
            bed.start()
        try:
            await self._steady("every bed is connected")
            began = time.monotonic()
            if self._plan.faults:
                breaking = [asyncio.create_task(self._schedule.run()), asyncio.create_task(self._kill_desks())]
            await self._live()
            took_s = time.monotonic() - began
            for task in breaking:
                task.cancel()
            ended = await asyncio.gather(*breaking, return_exceptions=True)
            for error in ended:
                if isinstance(error, Exception):
                    raise error
            if self._desk.ws_url is None:
                await self._desk.start()
            await self._steady("every bed is connected again and what was closed has left the board")
        finally:
            for task in (*breaking, *seats):
                task.cancel()
            await asyncio.gather(*breaking, *seats, return_exceptions=True)
            await asyncio.gather(*(bed.stop() for bed in self._beds))
            self._fingers.shutdown()
        return self._outcome(took_s)

    async def _live(self) -> None:
        each, more = divmod(self._plan.presses, len(self._beds))
        for bed in self._beds:
            bed.may_restart = self._may_restart
        async with asyncio.TaskGroup() as living:
            for number, bed in enumerate(self._beds):
                living.create_task(bed.live(each + (number < more)))

    def _may_restart(self) -> bool:
        return self._plan.faults and self._desk.ws_url is not None and self._chance.random() < BED_RESTARTS

    async def _kill_desks(self) -> None:
        while True:
            await asyncio.sleep(self._chance.uniform(*self._plan.desk_life_s))
            # What a bed forgets while it restarts is the desk's to give back: not both at once.
            while not all(bed.settled.is_set() for bed in self._beds):
                await asyncio.gather(*(bed.settled.wait() for bed in self._beds))
            await self._desk.kill()
            await asyncio.sleep(self._chance.uniform(0, DESK_ABSENCE_S))
            await self._desk.start()

    async def _steady(self, what: str) -> None:
        end = time.monotonic() + STEADY_WITHIN_S
        while self._looking.beds_online < len(self._beds) or self._tally.left_over:
            if time.monotonic() > end:
                if self._tally.wrong:
                    return  # that is a result
                raise KioskError(f"bench faults: not within {STEADY_WITHIN_S:.0f} s: {what}")
            await asyncio.sleep(LOOK_AGAIN_S)

    def _outcome(self, took_s: float) -> Outcome:
        injected = Counter(self._schedule.injected)
        injected["desk kill"] = self._desk.kills
        injected["bed restart"] = sum(bed.restarts for bed in self._beds)
        return Outcome(
            self._tally,
            taps=sum(bed.taps for bed in self._beds),
            slow_taps=sum(bed.slow_taps for bed in self._beds),
            took_s=took_s,
            injected=+injected,
        )


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
        print(Figure(f"press → on the seat's board, {name}", outcome.tally.delays_ms).row())
    print()
    for name, outcome in named:
        tally = outcome.tally
        print(
            f"{name:<15} {outcome.taps} taps, {tally.presses} presses seen, {len(tally.asked)} requests,"
            f" {tally.seen} at the desk, {len(tally.lost)} lost, {len(tally.doubles)} double,"
            f" {len(tally.miscounted)} miscounted, {outcome.took_s:.0f} s"
        )
        if tally.presses > outcome.taps:
            print(f"{'':<15} ({outcome.slow_taps} taps were stretched by a busy machine: one may be seen as two)")
    print("faults          " + ", ".join(f"{count} {kind}" for kind, count in sorted(faulty.injected.items())))
    wrong = [f"{name}: {outcome.wrong}" for name, outcome in named if outcome.wrong]
    if wrong:
        raise BudgetMissed(f"bench faults: {'; '.join(wrong)}")
    print(
        f"\nno request was lost or doubled: {faulty.tally.presses} presses, {len(faulty.tally.asked)} requests,"
        f" {faulty.injected.total()} faults"
    )
