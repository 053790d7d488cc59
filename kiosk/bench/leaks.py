"""``kiosk bench leaks``: whether many calls, or a long one, leave anything behind.

A real desk process and a real bed process, with all it has of devices and media, and a robot at the seat in this
process. Tasks, threads and open files are counted exactly, by name; memory has a budget.
"""

from __future__ import annotations

import asyncio
import logging
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from kiosk.bench import process
from kiosk.bench.counted_bed import CountedBed, Counts, counted_bed, files_of
from kiosk.bench.loopback_ward import ward_with_desk
from kiosk.demo.robot import Robot
from kiosk.demo.ward import DeskProcess
from kiosk.errors import BudgetMissed, KioskError
from kiosk.media.interfaces import LOOPBACK, prepare_media
from kiosk.signaling import messages as wire
from kiosk.signaling.messages import CallType

CALLS, QUICK_CALLS = 200, 20
WARM_UP_CALLS = 10
"""The first calls load codecs, fill pools and widen the heap."""
LONG_CALL_S, QUICK_LONG_CALL_S = 240.0, 25.0
LONG_WARM_UP_S, QUICK_LONG_WARM_UP_S = 60.0, 15.0
MAX_GROWTH_MB = 5.0
MAX_LONG_GROWTH_MB = 3.0
LOOK_EVERY_CALLS = 10
LOOK_EVERY_S = 5.0
SETTLE_S = 15.0
"""A call's last tasks and sockets end some time after it; a leak never does."""
HEAR_TIMEOUT_S = 20.0
ROBOT = "nurse-1"


@dataclass(frozen=True)
class Growth:
    """What was left, by name, and the growth of memory in MB (10^6 bytes)."""

    left: dict[str, int]
    bed_mb: float
    desk_mb: float


class LeakWard:
    """A desk, a bed that counts, and a robot at the seat."""

    def __init__(self, bed: CountedBed, desk: DeskProcess, robot: Robot) -> None:
        self._bed = bed
        self._desk = desk.process.pid
        self._robot = robot

    async def calls(self, many: int, *, say: bool = False) -> None:
        """*many* short calls, one after the other."""
        for number in range(1, many + 1):
            await self._hang_up(await self._talk())
            if say and number % LOOK_EVERY_CALLS == 0:
                counts = await self._bed.counts()
                print(
                    f"{number:>5} calls: bed {counts.rss_mb:6.1f} MB, {_sum(counts.tasks)} tasks,"
                    f" {_sum(counts.threads)} threads, {_sum(counts.files)} files;"
                    f" desk {process.rss_mb(self._desk):6.1f} MB"
                )

    async def left_by(self, many: int, *, say: bool = False) -> Growth:
        """What *many* calls leave behind."""
        before, desk_files, desk_mb = await self._bed.counts(), files_of(self._desk), process.rss_mb(self._desk)
        await self.calls(many, say=say)
        left = await self._bed.holds_no_more_than(before, within_s=SETTLE_S)
        left |= {
            f"desk's files {kind}": more - desk_files.get(kind, 0)
            for kind, more in files_of(self._desk).items()
            if more > desk_files.get(kind, 0)
        }
        after = await self._bed.counts()
        return Growth(left, after.rss_mb - before.rss_mb, process.rss_mb(self._desk) - desk_mb)

    async def long_call(self, *, warm_up_s: float, seconds: float) -> float:
        """How much the bed grew in a call of *seconds*, after *warm_up_s* of it, in MB."""
        incoming = await self._talk()
        began, before = time.monotonic(), 0.0
        while (elapsed_s := time.monotonic() - began) < seconds:
            await asyncio.sleep(LOOK_EVERY_S)
            counts = await self._bed.counts()
            if not before and elapsed_s + LOOK_EVERY_S >= warm_up_s:
                before = counts.rss_mb
            print(f"{elapsed_s + LOOK_EVERY_S:>5.0f} s in one call: bed {counts.rss_mb:6.1f} MB")
        await self._hang_up(incoming)
        return counts.rss_mb - before

    async def counts(self) -> Counts:
        """What the bed holds."""
        return await self._bed.counts()

    async def _talk(self) -> wire.IncomingCall:
        self._bed.do("press")
        incoming, _ = await self._robot.rings()
        await self._robot.accept(incoming, CallType.VIDEO)
        peer = self._robot.peer
        assert peer is not None
        try:
            async with asyncio.timeout(HEAR_TIMEOUT_S):
                await asyncio.gather(peer.audible.wait(), peer.visible.wait())
        except TimeoutError:
            raise KioskError(f"the seat does not hear or see the bed within {HEAR_TIMEOUT_S:.0f} s") from None
        await self._bed.comes_to("first_audio")
        return incoming

    async def _hang_up(self, incoming: wire.IncomingCall) -> None:
        await self._robot.send(wire.Hangup(call_id=incoming.call_id))
        await self._robot.drop_call()
        await self._bed.comes_to("shows answered")
        self._bed.do("attend")
        await self._bed.comes_to("shows ready")


@asynccontextmanager
async def leak_ward(folder: Path) -> AsyncIterator[LeakWard]:
    """Everything, ready for the first call."""
    prepare_media([LOOPBACK])
    async with ward_with_desk(folder) as (ward, desk):
        code = ward.registry().make_code(ROBOT, now=int(time.time()))
        async with counted_bed(ward.bed_file) as bed:
            await bed.comes_to("shows ready")
            async with Robot(desk.url, code) as robot:
                yield LeakWard(bed, desk, robot)


async def run(*, quick: bool, minutes: int | None = None) -> int:
    """Measure, print, and raise :exc:`BudgetMissed` if anything is left or grows too much.

    *minutes*: of the long call, if it is not to be the usual one.
    """
    logging.getLogger("kiosk").setLevel(logging.WARNING)
    calls = QUICK_CALLS if quick else CALLS
    long_s = QUICK_LONG_CALL_S if quick else LONG_CALL_S
    if minutes is not None:
        long_s = 60.0 * minutes
    warm_up_s = QUICK_LONG_WARM_UP_S if quick else LONG_WARM_UP_S
    with tempfile.TemporaryDirectory(prefix="kiosk-bench-") as folder:
        async with leak_ward(Path(folder) / "ward") as ward:
            await ward.calls(WARM_UP_CALLS)
            growth = await ward.left_by(calls, say=True)
            long_mb = await ward.long_call(warm_up_s=warm_up_s, seconds=long_s)
    print(f"left after {calls} calls: {growth.left or 'nothing'}")
    missed = [f"left: {name} × {many}" for name, many in growth.left.items()]
    for what, grown_mb, most_mb in (
        (f"the bed in {calls} calls", growth.bed_mb, MAX_GROWTH_MB),
        (f"the desk in {calls} calls", growth.desk_mb, MAX_GROWTH_MB),
        (f"the bed in a call of {long_s:.0f} s", long_mb, MAX_LONG_GROWTH_MB),
    ):
        print(f"{what:<28} grew by {grown_mb:+.1f} MB (must: < {most_mb:g})")
        if grown_mb >= most_mb:
            missed.append(f"{what} grew by {grown_mb:.1f} MB")
    if missed:
        raise BudgetMissed(f"bench leaks: {'; '.join(missed)}")
    print("bench leaks: nothing is left, nothing grows")
    return 0


def _sum(counted: dict[str, int]) -> int:
    return sum(counted.values())
