"""The speaker's port, ALSA's implementation and a simulated one.

Sound is mono, signed 16 bit, 48 kHz, in blocks of 20 ms. It comes in two ways: blocks that are given wait in a
short queue; when none waits, a source is asked for each block at the device's own pace, so that nothing waits in
between. A speaker that is late drops the oldest block given: with speech, what is late is worth less than what is
now.
"""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np

from kiosk.hardware.alsa import alsa_error, open_pcm
from kiosk.hardware.sound import BLOCK_S, BLOCK_SAMPLES, SAMPLE_RATE, Block, OnBlock, OnFault
from kiosk.hardware.worker import Worker

__all__ = ["QUEUE_BLOCKS", "STALL_TIMEOUT_S", "AlsaSpeaker", "SimulatedSpeaker", "Source", "Speaker"]

QUEUE_BLOCKS = 5
"""100 ms between the call and the device at most."""
PERIODS = 3
"""60 ms of ALSA buffer: the least that survives a thread's late wake-up on a busy Pi."""
STALL_TIMEOUT_S = 2.0
"""A device that takes no sound for this long is told as faulty."""
MAX_WRITE_ERRORS = 5
"""Writes that fail in a row before the device counts as broken; a single underrun is normal under load."""
CATCH_UP_S = 0.2
"""A simulated speaker whose thread woke later than this leaves the rest out, as an underrun does."""
SILENCE: Block = np.zeros(BLOCK_SAMPLES, np.int16)

Source = Callable[[], Block]
"""Gives the next block at once, on the device's thread; must never raise."""
Shape = Callable[[Block], Block]
Played = Callable[[Block, float], None]


def _as_it_is(block: Block) -> Block:
    return block


def _nobody(block: Block, delay_s: float) -> None:
    return


def _into_nothing(block: Block) -> None:
    return


class Speaker(ABC):
    """A way for sound out.

    Implementations must never block in :meth:`play`, must bound what they keep, must sound silence when nothing is
    given and there is no source, must keep their source when they are opened again, and must be able to be opened
    again after :meth:`close`. Every block, silence too, goes through ``shape`` just before the device, and then to
    ``played``.
    """

    name: str
    dropped: int = 0
    """Blocks dropped because the device was late, since the speaker was made."""
    moved_at: float = 0.0
    """Monotonic seconds at which the device last took a block; 0 = none yet."""

    def __init__(self) -> None:
        self.shape: Shape = _as_it_is
        """Makes of a block what the device gets (volume, limiter). On the device's thread; must never raise."""
        self.played: Played = _nobody
        """Gets each block the device has taken, and the seconds, estimated, until its first sample is heard. On the
        device's thread; must never raise."""

    @abstractmethod
    def open(self, on_fault: OnFault) -> None:
        """Start. Raises :exc:`HardwareFault`. *on_fault* is called at most once per opening, on any thread."""

    @abstractmethod
    def play(self, block: Block) -> None:
        """Give *block* (``BLOCK_SAMPLES``, not changed afterwards) to the device. Any thread."""

    @abstractmethod
    def feed(self, source: Source | None) -> None:
        """Ask *source* for each block from now on, whenever no given one waits; ``None``: nobody. Any thread."""

    @property
    @abstractmethod
    def delay_s(self) -> float:
        """Seconds, estimated, until a block given now is heard. Any thread."""

    @abstractmethod
    def close(self) -> None:
        """Stop and let the device go. May be called twice."""


class _Queue:
    """Blocks on their way to a device's thread; the oldest is dropped when there are too many."""

    def __init__(self, source: Source | None = None) -> None:
        self._blocks: deque[Block] = deque()
        self._lock = threading.Lock()
        self.source = source

    def put(self, block: Block) -> int:
        """Add *block*; returns how many were dropped for it (0 or 1)."""
        with self._lock:
            self._blocks.append(block)
            if len(self._blocks) <= QUEUE_BLOCKS:
                return 0
            self._blocks.popleft()
            return 1

    def take(self) -> Block:
        """The next block, or the source's, or silence."""
        with self._lock:
            if self._blocks:
                return self._blocks.popleft()
        source = self.source
        return source() if source is not None else SILENCE

    @property
    def seconds(self) -> float:
        """How much waits."""
        return len(self._blocks) * BLOCK_S


class AlsaSpeaker(Speaker):
    """An ALSA playback *device* such as ``default`` or ``plughw:1``.

    A stalled device holds up nobody but its own thread, which hangs in the driver; it is told from :meth:`play`,
    on its caller's thread.
    """

    def __init__(self, device: str) -> None:
        super().__init__()
        self.name = f"ALSA {device}"
        self._device = device
        self._queue = _Queue()
        self._playback: _Playback | None = None

    def open(self, on_fault: OnFault) -> None:
        """Start. Raises :exc:`HardwareFault`."""
        self.close()
        pcm = open_pcm("speaker", self._device, capture=False, periods=PERIODS)
        self._queue = _Queue(self._queue.source)
        self._playback = _Playback(pcm, self._queue, on_fault, device=self._device, speaker=self)

    def play(self, block: Block) -> None:
        """Queue *block*, and look whether the device still takes sound."""
        self.dropped += self._queue.put(block)
        playback = self._playback
        if playback is not None:
            playback.look()

    def feed(self, source: Source | None) -> None:
        """Take *source*."""
        self._queue.source = source

    @property
    def delay_s(self) -> float:
        """What is queued and what ALSA has buffered; not what a sound server adds behind ALSA's back."""
        playback = self._playback
        return self._queue.seconds + (playback.buffered_s if playback is not None else 0.0)

    def close(self) -> None:
        """Stop."""
        playback, self._playback = self._playback, None
        if playback is not None:
            playback.stop()


class _Playback:
    """One opening of an ALSA device; if its thread hangs it is left behind whole, and the next shares nothing."""

    def __init__(self, pcm: Any, queue: _Queue, on_fault: OnFault, *, device: str, speaker: Speaker) -> None:
        self._pcm = pcm
        self._buffer_samples: int = pcm.info()["buffer_size"]
        self._queue = queue
        self._device = device
        self._speaker = speaker
        self._on_fault: OnFault | None = on_fault
        self._telling = threading.Lock()
        self._written_at = self._filled_until = time.monotonic()
        self._worker = Worker(f"speaker {device}", self._write)
        self._worker.start()

    @property
    def buffered_s(self) -> float:
        """How much sound is in the device and not heard yet."""
        return max(0.0, self._filled_until - time.monotonic())

    def look(self) -> None:
        """Tell the fault if the device has taken nothing for ``STALL_TIMEOUT_S``."""
        if time.monotonic() - self._written_at > STALL_TIMEOUT_S:
            self._fault(f"speaker {self._device} takes no sound (for {STALL_TIMEOUT_S:.0f} s; is it plugged in?)")

    def stop(self) -> None:
        """Stop writing and let the device go; faults are told no more."""
        with self._telling:
            self._on_fault = None
        self._worker.stop()

    def _fault(self, words: str) -> None:
        with self._telling:
            on_fault, self._on_fault = self._on_fault, None
        if on_fault is not None:
            on_fault(words)

    def _write(self) -> None:
        errors = 0
        block = SILENCE
        try:
            while not self._worker.stopping.is_set():
                # Negative is an underrun that ALSA has recovered from, and the block was not taken.
                taken = self._pcm.write(block.tobytes()) >= 0
                if taken:
                    errors = 0
                else:
                    errors += 1
                if errors > MAX_WRITE_ERRORS:
                    self._fault(f"speaker {self._device} takes no sound (is it plugged in?)")
                    return
                self._written_at = time.monotonic()
                self._speaker.moved_at = self._written_at
                free = max(0, self._pcm.avail())
                self._filled_until = self._written_at + (self._buffer_samples - free) / SAMPLE_RATE + BLOCK_S
                if taken:
                    self._speaker.played(block, max(0.0, (self._buffer_samples - free) / SAMPLE_RATE - BLOCK_S))
                    block = self._speaker.shape(self._queue.take())
        except alsa_error() as error:
            self._fault(f"speaker {self._device} stopped: {error} (is it plugged in?)")
        finally:
            self._pcm.close()


class SimulatedSpeaker(Speaker):
    """Takes sound at its real pace and remembers the last second of it, for meters and tests."""

    def __init__(self) -> None:
        super().__init__()
        self.name = "simulated speaker"
        self._queue = _Queue()
        self._worker: Worker | None = None
        self._heard: deque[Block] = deque(maxlen=SAMPLE_RATE // BLOCK_SAMPLES)
        self._hearing = threading.Lock()
        self._stalled = threading.Event()
        self.air: OnBlock = _into_nothing
        """Gets what really sounds, for a simulated microphone in the same room."""
        self.unplugged = False
        """Takes sound, and gives none."""

    def open(self, on_fault: OnFault) -> None:
        """Start."""
        self.close()
        self._queue = _Queue(self._queue.source)
        worker = Worker(self.name, lambda: self._listen(worker, on_fault))
        self._worker = worker
        worker.start()

    def play(self, block: Block) -> None:
        """Queue *block*."""
        self.dropped += self._queue.put(block)

    def feed(self, source: Source | None) -> None:
        """Take *source*."""
        self._queue.source = source

    @property
    def delay_s(self) -> float:
        """What is queued; there is no device behind it."""
        return self._queue.seconds

    def close(self) -> None:
        """Stop."""
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.stop()

    def stall(self) -> None:
        """Stop taking sound for good, as a device whose driver hangs."""
        self._stalled.set()

    def recent(self) -> Block:
        """The last second that was played, oldest sample first; a copy. Any thread."""
        with self._hearing:
            return np.concatenate([*self._heard, SILENCE[:0]])

    def _listen(self, worker: Worker, on_fault: OnFault) -> None:
        due = time.monotonic()
        while not worker.stopping.wait(max(0.0, due - time.monotonic())):
            if self._stalled.is_set():
                if not worker.stopping.wait(STALL_TIMEOUT_S):
                    on_fault("the simulated speaker takes no sound")
                return
            block = self.shape(self._queue.take())
            with self._hearing:
                self._heard.append(block)
            self.air(SILENCE if self.unplugged else block)
            self.played(block, 0.0)
            self.moved_at = time.monotonic()
            due = max(due + BLOCK_S, time.monotonic() - CATCH_UP_S)
