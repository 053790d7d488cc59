"""Sounds the ring at the bed while a seat calls. Nothing is captured: only the speaker is opened.

Runs on the event loop's thread; the speaker takes the sound at its own pace and drops what comes too early.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable

from kiosk.hardware.sound import BLOCK_S
from kiosk.media.call_devices import CallDevices
from kiosk.media.ring_tone import ring_tone


class Ringer:
    """*began* is called when the first sound of a ring is given to the speaker."""

    def __init__(self, devices: CallDevices, *, began: Callable[[], None]) -> None:
        self._devices = devices
        self._began = began
        self._tone = ring_tone()
        self._ringing: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Ring until :meth:`stop`. A speaker that cannot be opened is told by the devices as a fault."""
        self.stop()
        self._devices.open_speaker()
        self._ringing = asyncio.get_running_loop().create_task(self._ring())

    def stop(self) -> None:
        """Be silent. The speaker stays open for the call that may follow; the call's end lets it go."""
        if self._ringing is not None:
            self._ringing.cancel()
            self._ringing = None

    async def _ring(self) -> None:
        loop = asyncio.get_running_loop()
        self._began()
        due = loop.time()
        for block in itertools.cycle(self._tone):
            self._devices.play(block)
            due = max(due + BLOCK_S, loop.time())
            await asyncio.sleep(due - loop.time())
