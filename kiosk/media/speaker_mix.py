"""What the bed's speaker plays in a talk: the voices of all seats that are in it, mixed.

Threads: voices are added and removed on the loop's thread. The speaker's thread pulls its blocks itself, at the
device's own pace; the voices' levels cross back to the loop, all of a block at once. When no device pulls (there is
none, it hangs, it is being opened) the loop does, and gives the blocks to the speaker's queue: speech is still
noticed, and a hanging device is still told.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from typing import Protocol

from kiosk.hardware.levels import rms_dbfs
from kiosk.hardware.sound import BLOCK_S, BLOCK_SAMPLES, Block
from kiosk.hardware.speaker import Speaker
from kiosk.media.loudness import Limiter
from kiosk.media.mixer import mixed

IDLE_S = 0.2
"""A device that has not pulled for so long does not: its own buffer holds 60 ms."""
LOOK_S = 0.1


class Voice(Protocol):
    """What one seat sends."""

    def block(self) -> Block:
        """The next block, at once. Any thread, one at a time; must never raise."""

    def heard(self, dbfs: float) -> None:
        """The level of a block that was given, in dB full scale. On the loop."""


class SpeakerMix:
    """The mix for *speaker*; without one it goes nowhere."""

    def __init__(self, speaker: Speaker | None) -> None:
        self._speaker = speaker
        self._voices: tuple[Voice, ...] = ()
        """Exchanged as a whole on the loop, so that the speaker's thread always sees a whole one."""
        self._limiter = Limiter()
        self._pulling = threading.Lock()
        self._pulled_at = 0.0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._looking: asyncio.TimerHandle | None = None

    def add(self, voice: Voice) -> None:
        """Let *voice* be heard from now on."""
        if not self._voices:
            self._loop = asyncio.get_running_loop()
            self._pulled_at = time.monotonic()
            self._looking = self._loop.call_later(LOOK_S, self._look)
        self._voices = (*self._voices, voice)
        if self._speaker is not None:
            self._speaker.feed(self._pull)

    def remove(self, voice: Voice) -> None:
        """Ask *voice* for no more; the others go on. May be called twice."""
        self._voices = tuple(one for one in self._voices if one is not voice)
        if self._voices or self._looking is None:
            return
        self._looking.cancel()
        self._looking = None
        if self._speaker is not None:
            self._speaker.feed(None)

    def _look(self) -> None:
        """Pull for a device that does not."""
        assert self._loop is not None
        self._looking = self._loop.call_later(LOOK_S, self._look)
        if time.monotonic() - self._pulled_at < IDLE_S:
            return
        for _ in range(round(LOOK_S / BLOCK_S)):
            block = self._block()
            if self._speaker is not None:
                self._speaker.play(block)

    def _pull(self) -> Block:
        self._pulled_at = time.monotonic()
        return self._block()

    def _block(self) -> Block:
        with self._pulling:
            given = [(voice, voice.block()) for voice in self._voices]
            self._limiter, made = mixed(self._limiter, [block for _, block in given], samples=BLOCK_SAMPLES)
        levels = [(voice, rms_dbfs(block)) for voice, block in given]
        assert self._loop is not None
        with contextlib.suppress(RuntimeError):  # the loop is closed: the process is ending
            self._loop.call_soon_threadsafe(_tell, levels)
        return made


def _tell(levels: list[tuple[Voice, float]]) -> None:
    for voice, dbfs in levels:
        voice.heard(dbfs)
