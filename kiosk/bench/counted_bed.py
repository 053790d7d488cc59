"""A whole bed in a process of its own that tells what it holds: for ``kiosk bench leaks`` (:class:`CountedBed`).

``python -m kiosk.bench.counted_bed bed.toml`` reads lines (``press``, ``attend``, ``count``) and writes JSON lines:
what the bed shows, the moments it traces, and its counts when asked. Started and heard by the bench.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

import msgspec

from kiosk.bedside.devices import choose_devices
from kiosk.bedside.journal_file import JournalFile
from kiosk.bedside.service import Bedside
from kiosk.bedside.watchers import Watchers
from kiosk.bench import process
from kiosk.errors import KioskError
from kiosk.hardware.pins import simulated_pins
from kiosk.hardware.simulated_finger import SimulatedFinger
from kiosk.media.heap import keep_heaps_few, leave_out_what_is_there, trim_heap
from kiosk.media.interfaces import prepare_media
from kiosk.settings import load, read_secret

TAP_S = 0.05
LIFTED_S = 0.1
WAIT_S = 30.0
STOP_TIMEOUT_S = 15.0
KEPT_MOMENTS = 256
POOL = "asyncio_"
"""The names of the threads of the loop's pool begin so. They are made when they are needed and stay; their number
has a bound."""


class Counts(msgspec.Struct, frozen=True):
    """What a process holds: names and how many of each. ``rss_mb``: resident memory in 10^6 bytes."""

    tasks: dict[str, int]
    threads: dict[str, int]
    files: dict[str, int]
    rss_mb: float

    def more_than(self, before: Counts) -> dict[str, int]:
        """What there is more of than *before*, memory aside."""
        return {
            f"{kind} {name}": many - getattr(before, kind).get(name, 0)
            for kind in ("tasks", "threads", "files")
            for name, many in getattr(self, kind).items()
            if many > getattr(before, kind).get(name, 0)
        }


class Said(msgspec.Struct, frozen=True):
    """A line of the bed."""

    moment: str = ""
    counts: Counts | None = None


def count() -> Counts:
    """This process' own. In a running loop.

    What is free is given back before, as at a call's end: the last call's threads may have freed theirs since.
    """
    gc.collect()
    trim_heap()
    tasks = [_name(task) for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    threads = [thread.name for thread in threading.enumerate() if not thread.name.startswith(POOL)]
    return Counts(_counted(tasks), _counted(threads), files_of(os.getpid()), process.rss_mb(os.getpid()))


def files_of(pid: int) -> dict[str, int]:
    """The open files of process *pid*: sockets, pipes and the like are counted by their kind."""
    kinds = []
    for file in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # the folder's own, or closed meanwhile
            kinds.append(os.readlink(file).partition(":[")[0])
    return _counted(kind for kind in kinds if kind != f"/proc/{pid}/fd")


def _name(task: asyncio.Task[object]) -> str:
    return str(getattr(task.get_coro(), "__qualname__", task.get_name()))


def _counted(names: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(names).items()))


# -- in the bed's process


def _say(said: Said) -> None:
    sys.stdout.write(msgspec.json.encode(said).decode() + "\n")
    sys.stdout.flush()


async def _live(file: Path) -> None:
    settings = load(file)
    keep_heaps_few()
    prepare_media(settings.media.interfaces)
    pins = simulated_pins()
    bedside = Bedside(
        settings,
        choose_devices(settings, factory=pins),
        journal=JournalFile(file.parent / settings.state.folder),
        user_sig=lambda: read_secret(file.parent / settings.signaling.user_sig_file),
        folder=file.parent,
        watchers=Watchers(
            trace=lambda event, call_id="", *, ago=0.0: _say(Said(event)),
            view=lambda view, told: _say(Said(f"shows {view.prompt}")),
        ),
    )
    attend_pin = settings.buttons.attend_pin
    assert attend_pin != "none"
    fingers = {
        "press": SimulatedFinger(pins, settings.buttons.call_pin),
        "attend": SimulatedFinger(pins, attend_pin),
    }
    leave_out_what_is_there()
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    running = asyncio.create_task(bedside.run())
    while line := (await lines.readline()).decode().strip():
        if line == "count":
            _say(Said(counts=count()))
        else:
            fingers[line].press()
            await asyncio.sleep(TAP_S)
            fingers[line].release()
            await asyncio.sleep(LIFTED_S)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


# -- in the bench


class CountedBed:
    """The process, and what it said since the last look."""

    def __init__(self, child: asyncio.subprocess.Process) -> None:
        self._process = child
        self._moments: asyncio.Queue[str] = asyncio.Queue(KEPT_MOMENTS)
        self._counts: asyncio.Queue[Counts] = asyncio.Queue(1)

    async def read(self) -> None:
        """Listen until it ends."""
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            said = msgspec.json.decode(line, type=Said)
            if said.counts is not None:
                self._counts.put_nowait(said.counts)
            elif said.moment:
                if self._moments.full():
                    self._moments.get_nowait()
                self._moments.put_nowait(said.moment)

    def do(self, what: str) -> None:
        """``press`` or ``attend``."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{what}\n".encode())

    async def comes_to(self, moment: str) -> None:
        """Wait until *moment*; what came before is passed over. Raises :exc:`KioskError` after ``WAIT_S``."""
        try:
            async with asyncio.timeout(WAIT_S):
                while await self._moments.get() != moment:
                    pass
        except TimeoutError:
            raise KioskError(f"the bed did not come to {moment!r} within {WAIT_S:.0f} s") from None

    async def counts(self) -> Counts:
        """What it holds now."""
        self.do("count")
        return await asyncio.wait_for(self._counts.get(), WAIT_S)

    async def holds_no_more_than(self, before: Counts, *, within_s: float) -> dict[str, int]:
        """Look until it holds no more than *before*; returns what it still does after *within_s*."""
        end = time.monotonic() + within_s
        while more := (await self.counts()).more_than(before):
            if time.monotonic() > end:
                return more
            await asyncio.sleep(LIFTED_S)
        return {}


@contextlib.asynccontextmanager
async def counted_bed(file: Path) -> AsyncIterator[CountedBed]:
    """A bed with the settings in *file*, as long as it is needed."""
    with file.with_suffix(".log").open("ab") as errors:
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "kiosk.bench.counted_bed", str(file)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=errors,
        )
    bed = CountedBed(child)
    reading = asyncio.create_task(bed.read())
    try:
        yield bed
    finally:
        assert child.stdin is not None
        child.stdin.close()
        try:
            await asyncio.wait_for(child.wait(), STOP_TIMEOUT_S)
        except TimeoutError:
            child.kill()
            await child.wait()
        await reading


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    asyncio.run(_live(Path(sys.argv[1])))
