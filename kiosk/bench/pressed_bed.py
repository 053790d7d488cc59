"""One bed whose buttons are pressed and whose process is killed again and again, for ``kiosk bench faults``.

The patient, and whoever attends, live here, in the bench, which is not killed: they tap, look at the lamp, and tap
again when the bed died under their finger before it could keep the press (:mod:`kiosk.bench.taps` has the rule).
Each death is followed by a look at the journal, before the bed starts again. One event loop.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from kiosk.bedside.journal import scan
from kiosk.bedside.journal_file import FILE_NAME
from kiosk.bench.bed_process import BedProcess, Live
from kiosk.bench.killed_bed import (
    ButtonName,
    Finger,
    Lifted,
    OnDisk,
    PinEdge,
    Report,
    Saw,
    Shows,
    Talks,
    Tap,
    live,
    on_disk,
)
from kiosk.bench.tally import Tally
from kiosk.bench.taps import Life
from kiosk.errors import KioskError

LOST_AFTER_S = 90.0
"""A request that is not at the desk by then, with every fault's end long past, is lost."""
PATIENCE_S = 90.0
"""For all that happens at the bed; beyond it something hangs."""
TAP_AGAIN_S = 3.0
"""Whoever attends, and sees that the lamp does not go out, taps again: a hang-up is not yet an attendance."""
MAX_LINGER_S = 0.3
"""How long a request is left open after it was seen."""
LINGERS, WAITS_FOR_TALK = 0.3, 0.04
"""The parts of requests that do, and that wait for a nurse who speaks."""
TALK_WITHIN_S = 8.0
MAX_TALK_S = 0.5
"""How long the patient speaks at least before somebody comes to the bed."""
MAX_ABSENCE_S = 0.5
"""How long a killed bed stays away, besides its start."""

Strike = Callable[[str], float | None]
"""Asked at moments of interest, by name: in how many seconds the bed shall be killed, or None."""


def no_strike(moment: str) -> float | None:
    """Leave it alone."""
    return None


class PressedBed:
    """A bed and the fingers at it. *folder* has its settings and journal; *pause_s* lies between requests."""

    def __init__(
        self,
        folder: Path,
        *,
        bounce_s: float,
        tally: Tally,
        chance: random.Random,
        pause_s: float,
        journal: Path,
        living: Live = live,
    ) -> None:
        self.user_id = folder.name
        self._folder = folder
        self._journal = journal / FILE_NAME
        self._bounce_s = bounce_s
        self._tally = tally
        self._chance = chance
        self._pause_s = pause_s
        self._living = living
        self._process: BedProcess | None = None
        self._keeping: asyncio.Task[None] | None = None
        self._news = asyncio.Event()
        self._stopping = False
        self.strike: Strike = no_strike
        self.taps = 0
        """Of the call button."""
        self.taken = 0
        """Taps that a kill took with it before they were on the disk, and that were made again."""
        self.found = 0
        """Presses that a killed bed had not come to say anything of, and that its journal has."""
        self.lives: list[Life] = []
        self.kills: Counter[str] = Counter()
        """By what was going on in that moment."""
        self.talks = 0
        self.wrong: list[str] = []
        self._numbers = 0
        self._doing = "at rest"
        self._on_disk = OnDisk("", 0)
        self._made = 0
        """Presses that came on the disk, of all requests."""
        self._missing = 0
        """Presses that were on the disk and are not, though nobody closed their request."""
        self._down_at = 0.0
        """When the finger came down last."""
        self._lifted = 0
        self._shown: Shows | None = None
        self._talking = False
        self._closing = False

    # -- its lives

    def start(self) -> None:
        """Switch it on, and on again after each death."""
        self._keeping = asyncio.get_running_loop().create_task(self._keep_alive())

    async def stop(self) -> None:
        """Switch it off in an orderly way. Raises what ended it before."""
        self._stopping = True
        assert self._keeping is not None
        if self._process is not None:
            await self._process.stop()
        await self._keeping

    def kill(self) -> None:
        """kill -9, whatever it is doing; nothing when it is dead."""
        if self._process is not None and self._process.alive:
            self.kills["talking" if self._talking else self._doing] += 1
            self._process.kill()

    def look(self) -> None:
        """There is news at the desk."""
        self._news.set()

    async def _keep_alive(self) -> None:
        while not self._stopping:
            await self._live_once()
            if not self._stopping:
                await asyncio.sleep(self._chance.uniform(0, MAX_ABSENCE_S))

    async def _live_once(self) -> None:
        life = Life(self._bounce_s)
        self.lives.append(life)
        self._shown, self._talking = None, False
        process = BedProcess(lambda report: self._hears(report, life))
        await process.start(self._folder, living=self._living)
        self._process = process
        if self._stopping:
            await process.stop()
        status = await process.gone()
        self._process = None
        made, missing = self._made, self._missing
        self._kept(self._read_journal())
        self.found += self._made - made
        life.ends(killed=process.killed, found=self._made - made - (self._missing - missing))
        self._news.set()
        if not process.killed and (not self._stopping or status != 0):
            raise KioskError(f"{self.user_id} ended by itself, with status {status}")

    def _read_journal(self) -> OnDisk:
        try:
            return on_disk(scan(self._journal.read_bytes()).kept(now=round(time.time() * 1000)))
        except FileNotFoundError:
            return OnDisk("", 0)

    def _hears(self, report: Report, life: Life) -> None:
        match report:
            case Finger():
                life.finger(report.tap, at=report.at)
                self._down_at = report.at
            case PinEdge():
                life.edge(report.tap, report.made, at=report.at)
            case Saw():
                life.saw(report.at)
            case OnDisk():
                before = self._made
                self._kept(report)
                life.came_on_disk(self._made - before)
            case Lifted():
                self._lifted = report.tap
            case Shows():
                if self._shown is None and report.lit is not bool(self._on_disk.request_id):
                    self.wrong.append(f"started with the lamp {'lit' if report.lit else 'dark'}, which is not so")
                self._shown = report
            case Talks():
                self._talking = report.on
                self.talks += report.on
                self._may_strike("talk")
        self._news.set()

    def _kept(self, now: OnDisk) -> None:
        """The disk has *now*, as the bed said or as its journal was read after its death."""
        before, self._on_disk = self._on_disk, now
        if now.request_id != before.request_id:
            if before.request_id and self._closing:
                self._tally.close(before.request_id)
            elif before.request_id:
                self.wrong.append(f"request {before.request_id[:8]} was closed by nobody")
                self._missing += before.presses
            before = OnDisk(now.request_id, 0)
        self._made += now.presses - before.presses
        if now.presses > before.presses:
            self._tally.press(self.user_id, now.request_id, now.presses, at=self._down_at)

    # -- the patient

    async def live(self, presses: int) -> None:
        """Ask for help again and again, until it was asked *presses* times."""
        while presses > 0:
            count = min(presses, self._chance.choice((1, 1, 1, 2, 3)))
            await self._ask(count)
            presses -= count
            self._doing = "at rest"
            await asyncio.sleep(self._chance.uniform(0, 2 * self._pause_s))

    async def _ask(self, presses: int) -> None:
        """One request: pressed, seen at the desk, sometimes spoken of, attended or cancelled."""
        for _ in range(presses):
            await self._press()
        request_id = self._on_disk.request_id
        if not request_id or not await self._is_at_the_desk(request_id):
            return  # it is lost, and known to be
        self._doing = "at the desk"
        self._may_strike("at the desk")
        await self._linger()
        if not await self._is_at_the_desk(request_id):
            return
        await self._attend(request_id)

    async def _press(self) -> None:
        before = self._made
        while self._made <= before:
            process = await self._running()
            self._doing = "pressing"
            self.taps += 1
            self._tap(process, "call")
            self._may_strike("press")
            await self._until(
                lambda: self._made > before or self._is_buried(process),  # noqa: B023  (awaited here)
                "the press is on the disk",
            )
            if self._made > before:
                self._doing = "on the way to the desk"
            else:
                self.taken += 1
            await self._lift(process)

    async def _linger(self) -> None:
        drawn = self._chance.random()
        if drawn < WAITS_FOR_TALK:
            await self._until(lambda: self._talking, "a nurse speaks", within_s=TALK_WITHIN_S, must=False)
            await asyncio.sleep(self._chance.uniform(0, MAX_TALK_S))
        elif drawn < WAITS_FOR_TALK + LINGERS:
            await asyncio.sleep(self._chance.uniform(0, MAX_LINGER_S))

    async def _attend(self, request_id: str) -> None:
        self._closing = True
        end = time.monotonic() + PATIENCE_S
        name: ButtonName = "attend" if self._chance.random() < 0.7 else "cancel"
        while self._on_disk.request_id == request_id:
            process = await self._running()
            if self._on_disk.request_id != request_id:
                break
            self._doing = "closing"
            self._tap(process, name)
            self._may_strike("close")
            await self._until(
                lambda: self._on_disk.request_id != request_id or self._is_buried(process),  # noqa: B023
                "the request is closed at the bed",
                within_s=TAP_AGAIN_S,
                must=False,
            )
            await self._lift(process)
            if time.monotonic() > end:
                raise KioskError(f"{self.user_id}: cannot be attended")
        self._closing = False

    async def _is_at_the_desk(self, request_id: str) -> bool:
        there = await self._until(
            lambda: self._tally.is_there(request_id),
            "the request is at the desk",
            within_s=LOST_AFTER_S,
            must=False,
        )
        if not there:
            self._tally.give_up(request_id)
        return there

    async def _running(self) -> BedProcess:
        """Wait until there is a bed whose lamp can be looked at."""
        await self._until(
            lambda: self._process is not None and self._process.alive and self._shown is not None,
            "the bed runs",
        )
        assert self._process is not None
        return self._process

    def _is_buried(self, process: BedProcess) -> bool:
        """It is dead and its journal was read."""
        return self._process is not process

    def _tap(self, process: BedProcess, button: ButtonName) -> None:
        self._numbers += 1
        process.tap(Tap(self._numbers, button))

    async def _lift(self, process: BedProcess) -> None:
        """A finger comes down again only after the contact has come to rest, and all it made is on the disk."""
        await self._until(lambda: self._lifted == self._numbers or self._is_buried(process), "the finger is up")
        life = self.lives[-1]
        await self._until(
            lambda: life.on_disk >= life.at_the_pin or self._is_buried(process),
            "a stretched tap's second press is on the disk too",
            within_s=TAP_AGAIN_S,
            must=False,  # what is missing then is found in the end
        )
        await asyncio.sleep(2 * self._bounce_s)

    def _may_strike(self, moment: str) -> None:
        wait_s = self.strike(moment)
        if wait_s is not None:
            asyncio.get_running_loop().call_later(wait_s, self.kill)

    async def _until(
        self, condition: Callable[[], bool], what: str, *, within_s: float | None = None, must: bool = True
    ) -> bool:
        """Wait for *condition*, at most *within_s* (``PATIENCE_S``); False, or an error, when it does not come."""
        within_s = PATIENCE_S if within_s is None else within_s
        try:
            async with asyncio.timeout(within_s):
                while not condition():
                    assert self._keeping is not None
                    if self._keeping.done():
                        await self._keeping
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            if must:
                raise KioskError(f"{self.user_id}: not within {within_s:.0f} s: {what}") from None
            return False
        return True
