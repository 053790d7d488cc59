"""What the bed sends: camera and microphone as aiortc tracks behind one gate.

Threads: devices deliver on their own threads; ``deliver`` of each track is the one place that crosses into the
event loop. Until the gate is open a track gives aiortc nothing, so no RTP leaves.
"""

from __future__ import annotations

import asyncio
import fractions
import time
from collections import deque
from collections.abc import Callable

import av
import numpy as np
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from numpy.typing import NDArray

from kiosk.hardware.microphone import BLOCK_SAMPLES, SAMPLE_RATE
from kiosk.media.opus_sender import OpusSender
from kiosk.media.stages import Stage, Took, nobody

VIDEO_CLOCK = 90_000
AUDIO_TIME_BASE = fractions.Fraction(1, SAMPLE_RATE)
VIDEO_TIME_BASE = fractions.Fraction(1, VIDEO_CLOCK)
BLOCK_S = BLOCK_SAMPLES / SAMPLE_RATE
MAX_WAITING_BLOCKS = 5
"""100 ms of sound on its way to the encoder; older blocks are dropped."""
STARVED_S = 3 * BLOCK_S
"""Without a block for this long silence is sent, so that the far end's clock goes on."""


class Gate:
    """Closed until the seat accepts."""

    def __init__(self) -> None:
        self._open = asyncio.Event()

    @property
    def is_open(self) -> bool:
        """Whether media may leave."""
        return self._open.is_set()

    def open(self) -> None:
        """Let media leave."""
        self._open.set()

    async def passed(self) -> None:
        """Wait until it is open."""
        await self._open.wait()


class GatedTrack(MediaStreamTrack):
    """What camera and microphone have in common: nothing is given before the gate opens, nor while not enabled."""

    def __init__(self, gate: Gate, enabled: bool) -> None:
        super().__init__()
        self._gate = gate
        self._home = asyncio.get_running_loop()
        self._enabled = asyncio.Event()
        self.enable(enabled)

    def enable(self, enabled: bool) -> None:
        """Send, or hold back, what the device delivers."""
        if enabled:
            self._enabled.set()
        else:
            self._enabled.clear()

    def _cross(self, act: Callable[[], None]) -> None:
        try:
            self._home.call_soon_threadsafe(act)
        except RuntimeError:
            # The loop is closed: the process is ending and the device has not been told yet.
            return

    async def _may_send(self) -> None:
        if self.readyState != "live":
            raise MediaStreamError
        await self._gate.passed()
        await self._enabled.wait()


class GatedVideoTrack(GatedTrack):
    """The camera. Holds one frame, the newest: what is late is worth nothing."""

    kind = "video"

    def __init__(self, gate: Gate, *, enabled: bool = True) -> None:
        super().__init__(gate, enabled)
        self._newest: av.VideoFrame | None = None
        self._arrived = asyncio.Event()

    def deliver(self, frame: av.VideoFrame) -> None:
        """Take *frame*. Any thread."""
        self._cross(lambda: self._take(frame))

    def _take(self, frame: av.VideoFrame) -> None:
        self._newest = frame
        self._arrived.set()

    async def recv(self) -> av.VideoFrame:
        """The next frame that was not sent yet (aiortc's reader)."""
        await self._may_send()
        await self._arrived.wait()
        self._arrived.clear()
        frame = self._newest
        assert frame is not None
        frame.pts = round(time.monotonic() * VIDEO_CLOCK)
        frame.time_base = VIDEO_TIME_BASE
        return frame


class GatedAudioTrack(GatedTrack):
    """The microphone, in blocks of 20 ms with a clock that never stops.

    With a *sender* it gives aiortc packets, without one frames that aiortc encodes in its own way.
    """

    kind = "audio"

    def __init__(
        self,
        gate: Gate,
        *,
        enabled: bool = True,
        meter: Callable[[NDArray[np.int16]], None] | None = None,
        sender: OpusSender | None = None,
        took: Took = nobody,
    ) -> None:
        super().__init__(gate, enabled)
        self._meter = meter
        self._sender = sender
        self._took = took
        self._blocks: deque[tuple[NDArray[np.int16], float]] = deque(maxlen=MAX_WAITING_BLOCKS)
        self._arrived = asyncio.Event()
        self._pts = 0
        self._sent_at: float | None = None
        self._given_at: float | None = None

    def deliver(self, block: NDArray[np.int16]) -> None:
        """Take *block* (960 samples). Any thread; the array may be used again by its owner."""
        copied, at = block.copy(), time.monotonic()
        self._cross(lambda: self._take(copied, at))

    def _take(self, block: NDArray[np.int16], at: float) -> None:
        if self._gate.is_open:
            self._blocks.append((block, at))
            self._arrived.set()

    async def recv(self) -> av.AudioFrame | av.Packet[av.stream.Stream]:
        """The next block, or silence when the microphone stalls.

        aiortc's reader, which asks when it has sent the one before.
        """
        given_at, self._given_at = self._given_at, None
        if given_at is not None:
            self._took(Stage.SOUND_SENT, time.monotonic() - given_at)
        await self._may_send()
        block, at = await self._next_block()
        now = time.monotonic()
        if self._sent_at is not None and now - self._sent_at > 2 * STARVED_S:
            # The track was held back: the far end must not play the gap's length late.
            self._pts += round((now - self._sent_at) / BLOCK_S) * BLOCK_SAMPLES
        self._sent_at = now
        if self._meter is not None:
            self._meter(block)
        made = await self._made_of(block)
        made.pts = self._pts
        made.time_base = AUDIO_TIME_BASE
        self._pts += BLOCK_SAMPLES
        self._given_at = time.monotonic()
        self._took(Stage.SOUND_ENCODED, self._given_at - at)
        return made

    async def _made_of(self, block: NDArray[np.int16]) -> av.AudioFrame | av.Packet[av.stream.Stream]:
        if self._sender is not None:
            return av.Packet(await self._home.run_in_executor(None, self._sender.encode, block))
        frame = av.AudioFrame.from_ndarray(block.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate = SAMPLE_RATE
        return frame

    async def _next_block(self) -> tuple[NDArray[np.int16], float]:
        try:
            async with asyncio.timeout(STARVED_S if self._sent_at is None else BLOCK_S + STARVED_S):
                while not self._blocks:
                    self._arrived.clear()
                    await self._arrived.wait()
        except TimeoutError:
            return np.zeros(BLOCK_SAMPLES, np.int16), time.monotonic()
        return self._blocks.popleft()
