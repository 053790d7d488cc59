"""The bench's end of a bed in a process of its own (:mod:`kiosk.bench.killed_bed`): start it, tap, listen, kill it.

Processes are forked from a server that has imported everything (multiprocessing's ``forkserver``), so that a bed is
back within some 50 ms of its kill -9 and many can be killed. What it said before is heard to the last line. Loop's
thread.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.process import BaseProcess
from pathlib import Path

import msgspec

from kiosk.bench.killed_bed import Report, Tap, live

STOP_TIMEOUT_S = 15.0
"""For an orderly end; then it is killed."""

Live = Callable[[Path, socket.socket], None]
"""What the process does; a function at the top of its module."""

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["kiosk.bench.killed_bed"])
_one_at_a_time = ThreadPoolExecutor(1, thread_name_prefix="bed-process")
"""One thread starts processes and waits for them: multiprocessing looks after all its children at each start."""


class BedProcess(asyncio.Protocol):
    """One life of a bed. *hears* takes what it says."""

    def __init__(self, hears: Callable[[Report], None]) -> None:
        self._hears = hears
        self._heard = b""
        self._process: BaseProcess | None = None
        self._transport: asyncio.Transport | None = None
        self._silent = asyncio.Event()
        self.killed = False

    async def start(self, folder: Path, *, living: Live = live) -> None:
        """Begin to live in *folder*."""
        ours, theirs = socket.socketpair()
        self._process = _context.Process(target=living, args=(folder, theirs), name=folder.name, daemon=True)
        with theirs:
            await asyncio.get_running_loop().run_in_executor(_one_at_a_time, self._process.start)
        await asyncio.get_running_loop().create_unix_connection(lambda: self, sock=ours)

    @property
    def alive(self) -> bool:
        """Whether it does anything more."""
        return not self._silent.is_set() and not self.killed

    def tap(self, tap: Tap) -> None:
        """Tap a button."""
        assert self._transport is not None
        if not self._transport.is_closing():
            self._transport.write(msgspec.json.encode(tap) + b"\n")

    def kill(self) -> None:
        """As by kill -9, now."""
        assert self._process is not None
        self.killed = True
        self._process.kill()

    async def gone(self) -> int | None:
        """Wait until it is dead and all that it said was heard; returns its status, None when it does not die."""
        await self._silent.wait()
        return await asyncio.get_running_loop().run_in_executor(_one_at_a_time, self._status)

    async def stop(self) -> None:
        """Ask it to end in an orderly way; kill it when it does not."""
        assert self._transport is not None
        if not self._transport.is_closing():
            self._transport.write_eof()
        try:
            async with asyncio.timeout(STOP_TIMEOUT_S):
                await self._silent.wait()
        except TimeoutError:
            self.kill()
            await self._silent.wait()

    def _status(self) -> int | None:
        assert self._process is not None
        self._process.join(STOP_TIMEOUT_S)
        return self._process.exitcode

    # -- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        *lines, self._heard = (self._heard + data).split(b"\n")
        for line in lines:
            self._hears(_decoder.decode(line))

    def connection_lost(self, error: Exception | None) -> None:
        self._silent.set()


_decoder: msgspec.json.Decoder[Report] = msgspec.json.Decoder(Report)
