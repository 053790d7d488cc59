"""The bed's one voice for all its listeners: measured and encoded once, whatever their number.

Threads: :meth:`VoiceSource.deliver` encodes on the microphone's thread (some 100 µs on a PC, about 1 ms on a Pi, of
each 20 ms) and crosses into the loop with what was made; there it is fanned out. Everything else runs on the loop's
thread. Nobody listens: nothing is encoded. When the microphone stalls, or there is none, silence is made instead,
so that the far ends' clocks go on and nobody takes the path for dead.

In-band FEC is as strong as the worst listener's path needs (:mod:`kiosk.media.sent_voice`): the others get a
few bits more than they need, which is cheaper than an encoder for each.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from kiosk.errors import MediaError
from kiosk.hardware.levels import FLOOR_DBFS, rms_dbfs
from kiosk.hardware.sound import BLOCK_S, BLOCK_SAMPLES, Block
from kiosk.media.opus_sender import VoiceEncoder, new_sender
from kiosk.media.sent_voice import Protection, strongest
from kiosk.media.stages import Stage, Took, nobody

log = logging.getLogger(__name__)

STARVED_S = 3 * BLOCK_S
"""Without a block for this long silence is sent."""
MAX_FILLED = 5
"""Blocks of silence at a time, if the loop was held up; the rest of the gap is left out."""
SILENCE: Block = np.zeros(BLOCK_SAMPLES, np.int16)


@dataclass(frozen=True)
class Spoken:
    """20 ms of the bed's voice. ``pts`` in samples; ``dbfs``: how loud it was where it was heard.

    ``made_at``: monotonic seconds.
    """

    packet: bytes
    pts: int
    dbfs: float
    made_at: float


class Listener(Protocol):
    """Who listens."""

    def take(self, spoken: Spoken) -> None:
        """On the loop."""


class VoiceSource:
    """The one voice. Listened to on the loop; *took*: see :mod:`kiosk.media.stages`."""

    def __init__(self, *, took: Took = nobody) -> None:
        self._took = took
        self._loop: asyncio.AbstractEventLoop | None = None
        self._listeners: dict[Listener, Protection] = {}
        self._sender: VoiceEncoder | None = None
        self._making = threading.Lock()
        self._wanted = False
        """Written on the loop, read on the microphone's thread."""
        self._pts = 0
        self._delivered_at = 0.0
        """When the microphone gave a block last, or the listening began; ``_made_at``: that or silence."""
        self._made_at = 0.0
        self._failed = False
        self._looking: asyncio.TimerHandle | None = None

    def deliver(self, block: Block, *, lifted_db: float = 0.0) -> None:
        """Take *block*, which was made louder by *lifted_db*. The microphone's thread; never raises."""
        if self._wanted:
            self._delivered_at = began = time.monotonic()
            self._make(block, rms_dbfs(block) - lifted_db)
            self._took(Stage.SOUND_ENCODED, time.monotonic() - began)

    def join(self, listener: Listener) -> None:
        """Give *listener* every block from now on."""
        if not self._listeners:
            self._loop = asyncio.get_running_loop()
            with self._making:
                self._sender, self._failed = new_sender(), False
                self._delivered_at = self._made_at = time.monotonic()
            self._looking = self._loop.call_later(STARVED_S, self._look)
        self._listeners[listener] = Protection()
        self._protect()
        self._wanted = True

    def leave(self, listener: Listener) -> None:
        """Give *listener* no more. May be called twice."""
        if self._listeners.pop(listener, None) is None:
            return
        self._protect()
        if not self._listeners:
            self._wanted = False
            if self._looking is not None:
                self._looking.cancel()

    def protect(self, listener: Listener, protection: Protection) -> None:
        """*listener*'s path needs *protection*; one that has left needs none."""
        if listener in self._listeners:
            self._listeners[listener] = protection
            self._protect()

    def _protect(self) -> None:
        if self._sender is not None:
            self._sender.protect(strongest(self._listeners.values()))

    # -- silence for a microphone that gives nothing

    def _look(self) -> None:
        assert self._loop is not None
        self._looking = self._loop.call_later(STARVED_S, self._look)
        now = time.monotonic()
        if now - self._delivered_at >= STARVED_S:
            self._loop.run_in_executor(None, self._fill, min(MAX_FILLED, round((now - self._made_at) / BLOCK_S)))

    def _fill(self, blocks: int) -> None:
        for _ in range(blocks):
            self._make(SILENCE, FLOOR_DBFS)

    # -- any thread, one at a time

    def _make(self, block: Block, dbfs: float) -> None:
        assert self._loop is not None
        with self._making:
            assert self._sender is not None
            now = time.monotonic()
            if now - self._made_at > 2 * STARVED_S:
                # Nothing was made for a while: the far end must not play the gap's length late.
                self._pts += round((now - self._made_at) / BLOCK_S) * BLOCK_SAMPLES
            self._made_at = now
            try:
                packet = self._sender.encode(block)
            except MediaError as error:
                if not self._failed:
                    self._failed = True
                    log.error("x the bed's voice cannot be sent: %s", error)
                return
            spoken = Spoken(packet, self._pts, dbfs, time.monotonic())
            self._pts += BLOCK_SAMPLES
        try:
            self._loop.call_soon_threadsafe(self._fan_out, spoken)
        except RuntimeError:
            return  # the loop is closed: the process is ending and the device has not been told yet

    def _fan_out(self, spoken: Spoken) -> None:
        for listener in list(self._listeners):
            listener.take(spoken)
