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
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack

from kiosk.hardware.sound import BLOCK_SAMPLES, SAMPLE_RATE, Block
from kiosk.media.sent_voice import Protection
from kiosk.media.stages import Stage, Took, nobody
from kiosk.media.voice_source import Spoken, VoiceSource

VIDEO_CLOCK = 90_000
AUDIO_TIME_BASE = fractions.Fraction(1, SAMPLE_RATE)
VIDEO_TIME_BASE = fractions.Fraction(1, VIDEO_CLOCK)
MAX_WAITING_BLOCKS = 5
"""100 ms of sound on its way to the connection; older blocks are dropped."""


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
        self._require_life()
        await self._gate.passed()
        await self._enabled.wait()
        self._require_life()  # one that ended in the turn in which its gate opened would join its source for good

    def _require_life(self) -> None:
        if self.readyState != "live":
            raise MediaStreamError


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


class VoiceTrack(GatedTrack):
    """The bed's voice for one seat. It joins the source when the gate opens; *meter* is told how loud it was.

    Everything runs on the loop's thread.
    """

    kind = "audio"

    def __init__(
        self, gate: Gate, source: VoiceSource, *, meter: Callable[[float], None], took: Took = nobody
    ) -> None:
        super().__init__(gate, True)
        self._source = source
        self._meter = meter
        self._took = took
        self._given: Spoken | None = None
        self._joined = False
        self._spoken: deque[Spoken] = deque(maxlen=MAX_WAITING_BLOCKS)
        self._arrived = asyncio.Event()

    def take(self, spoken: Spoken) -> None:
        """See :class:`kiosk.media.voice_source.Listener`."""
        self._spoken.append(spoken)
        self._arrived.set()
        self._meter(spoken.dbfs)

    def protect(self, protection: Protection) -> None:
        """The far end has told how much of it is lost."""
        self._source.protect(self, protection)

    async def spoken(self) -> Spoken:
        """The next 20 ms. Who asks has sent the ones before."""
        given, self._given = self._given, None
        if given is not None:
            self._took(Stage.SOUND_SENT, time.monotonic() - given.made_at)
        await self._may_send()
        if not self._joined:
            self._joined = True
            self._source.join(self)
        while not self._spoken:
            self._arrived.clear()
            await self._arrived.wait()
        self._given = self._spoken.popleft()
        return self._given

    async def recv(self) -> av.Packet[av.stream.Stream]:
        """The next 20 ms (aiortc's reader)."""
        spoken = await self.spoken()
        packet: av.Packet[av.stream.Stream] = av.Packet(spoken.packet)
        packet.pts, packet.time_base = spoken.pts, AUDIO_TIME_BASE
        return packet

    def stop(self) -> None:
        """End the track."""
        super().stop()
        self._source.leave(self)


class GatedAudioTrack(GatedTrack):
    """A microphone of its own, in blocks of 20 ms, which aiortc encodes in its own way."""

    kind = "audio"

    def __init__(self, gate: Gate, *, enabled: bool = True) -> None:
        super().__init__(gate, enabled)
        self._blocks: deque[Block] = deque(maxlen=MAX_WAITING_BLOCKS)
        self._arrived = asyncio.Event()
        self._pts = 0

    def deliver(self, block: Block) -> None:
        """Take *block* (960 samples). Any thread; the array may be used again by its owner."""
        copied = block.copy()
        self._cross(lambda: self._take(copied))

    def _take(self, block: Block) -> None:
        if self._gate.is_open:
            self._blocks.append(block)
            self._arrived.set()

    async def recv(self) -> av.AudioFrame:
        """The next block (aiortc's reader)."""
        await self._may_send()
        while not self._blocks:
            self._arrived.clear()
            await self._arrived.wait()
        block = self._blocks.popleft()
        frame = av.AudioFrame.from_ndarray(block.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate = SAMPLE_RATE
        frame.pts, frame.time_base = self._pts, AUDIO_TIME_BASE
        self._pts += BLOCK_SAMPLES
        return frame
