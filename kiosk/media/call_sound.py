"""What is done to sound between the bed's devices and a call: volume and limiter on its way out, echo control and a
look at the microphone on its way in.

Threads: ``shape`` and ``played`` run on the speaker's thread, ``captured`` on the microphone's; ``begin`` and
``end`` on any other. ``watch`` runs on the event loop. Nothing here waits for another thread.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from kiosk.errors import MediaError
from kiosk.hardware.levels import FLOOR_DBFS, rms_dbfs
from kiosk.hardware.sound import Block
from kiosk.media import dead_microphone
from kiosk.media.echo import EchoControl, NoEchoControl
from kiosk.media.loudness import Limiter, Volume, shaped

log = logging.getLogger(__name__)

CLOCK_EVERY_S = 5.0
"""How often the time of day is looked at, for the night volume."""


def minute_of_day() -> int:
    """Of the local time, after midnight."""
    now = time.localtime()
    return now.tm_hour * 60 + now.tm_min


class CallSound:
    """One for the bed. *minute* tells the time of day; *dead_after_s*: see :mod:`kiosk.media.dead_microphone`."""

    def __init__(
        self,
        *,
        echo: EchoControl | None = None,
        volume: Volume | None = None,
        dead_after_s: float = dead_microphone.DEAD_S,
        look_every_s: float = dead_microphone.LOOK_EVERY_S,
        minute: Callable[[], int] = minute_of_day,
    ) -> None:
        self.echo = echo if echo is not None else NoEchoControl()
        self._volume = volume if volume is not None else Volume()
        self._dead_after_s = dead_after_s
        self._look_every_s = look_every_s
        self._minute = minute
        self._limiter = Limiter()
        self._gain = 1.0
        self._gain_until = 0.0
        self._living = 0
        self.lifted_db = 0.0
        """How much louder the last block was made than it was heard: a quiet room that is lifted is no voice."""
        self.heard_dbfs = FLOOR_DBFS
        self.played_dbfs = FLOOR_DBFS
        """How loud the last block was that came from the microphone, and that went to the speaker."""

    def begin(self) -> None:
        """The microphone is about to be opened. May take some milliseconds."""
        try:
            self.echo.begin()
        except MediaError as error:
            log.warning("x %s; whoever speaks at the seat hears themselves from the bed", error)

    def end(self) -> None:
        """The microphone has been closed."""
        self.echo.end()

    def shape(self, block: Block) -> Block:
        """*block* as loud as it may be now."""
        now = time.monotonic()
        if now >= self._gain_until:
            self._gain, self._gain_until = self._volume.gain(self._minute()), now + CLOCK_EVERY_S
        self._limiter, made = shaped(self._limiter, block, gain=self._gain)
        return made

    def played(self, block: Block, delay_s: float) -> None:
        """*block* has been given to the device and will be heard in *delay_s*."""
        self.played_dbfs = rms_dbfs(block)
        self.echo.played(block, delay_s=delay_s)

    def captured(self, block: Block, delay_s: float) -> Block:
        """*block*, whose first sample was heard *delay_s* ago, as it is to be sent."""
        if dead_microphone.is_living(block):
            self._living += 1
        made = self.echo.captured(block, delay_s=delay_s)
        self.heard_dbfs = rms_dbfs(block)
        self.lifted_db = max(0.0, rms_dbfs(made) - self.heard_dbfs)
        return made

    async def watch(self, told: Callable[[str], None]) -> None:
        """Tell when the open microphone is dead, in words, and "" when it lives again; until cancelled."""
        hearing = dead_microphone.begin(time.monotonic(), limit_s=self._dead_after_s)
        seen = self._living
        while True:
            await asyncio.sleep(self._look_every_s)
            now, before, was_dead = time.monotonic(), seen, hearing.dead
            seen = self._living
            event = dead_microphone.Heard(now) if seen != before else dead_microphone.Looked(now)
            hearing = dead_microphone.step(hearing, event)
            if hearing.dead is not was_dead:
                told(f"no sound at all for {hearing.limit_s:g} s: muted, or unplugged?" if hearing.dead else "")
