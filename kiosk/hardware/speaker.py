"""The speaker's port, ALSA's implementation and a simulated one.

Sound is mono, signed 16 bit, 48 kHz, in blocks of 20 ms. A speaker that is late drops the oldest block: with
speech, what is late is worth less than what is now.
"""

from __future__ import annotations

import importlib
import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from typing import Any

import numpy as np

from kiosk.hardware.microphone import BLOCK_SAMPLES, SAMPLE_RATE, Block, OnFault, open_pcm
from kiosk.hardware.worker import Worker

QUEUE_BLOCKS = 5
"""100 ms between the call and the device at most."""
PERIODS = 3
"""60 ms of ALSA buffer: the least that survives a thread's late wake-up on a busy Pi."""
STALL_TIMEOUT_S = 2.0
"""A device that takes no sound for this long is told as faulty."""
MAX_WRITE_ERRORS = 5
SILENCE: Block = np.zeros(BLOCK_SAMPLES, np.int16)


class Speaker(ABC):
    """A way for sound out.

    Implementations must never block in :meth:`play`, must bound what they keep, and must be able to be opened again
    after :meth:`close`.
    """

    name: str
    dropped: int = 0
    """Blocks dropped because the device was late."""

    @abstractmethod
    def open(self, on_fault: OnFault) -> None:
        """Start. Raises :exc:`HardwareFault`. *on_fault* is called at most once per opening, on another thread."""

    @abstractmethod
    def play(self, block: Block) -> None:
        """Give *block* to the device. Any thread."""

    @abstractmethod
    def close(self) -> None:
        """Stop and let the device go. May be called twice."""


class _Queue:
    """Blocks on their way to a device's thread; the oldest is dropped when there are too many."""

    def __init__(self) -> None:
        self._blocks: deque[Block] = deque()
        self._lock = threading.Lock()

    def put(self, block: Block) -> int:
        """Add *block*; returns how many were dropped for it (0 or 1)."""
        with self._lock:
            self._blocks.append(block)
            if len(self._blocks) <= QUEUE_BLOCKS:
                return 0
            self._blocks.popleft()
            return 1

    def take(self) -> Block:
        """The next block, or silence."""
        with self._lock:
            return self._blocks.popleft() if self._blocks else SILENCE


class AlsaSpeaker(Speaker):
    """An ALSA playback *device* such as ``default`` or ``plughw:1``."""

    def __init__(self, device: str) -> None:
        self.name = f"ALSA {device}"
        self._device = device
        self._queue = _Queue()
        self._worker: Worker | None = None
        self._on_fault: OnFault | None = None
        self._written_at = 0.0

    def open(self, on_fault: OnFault) -> None:
        """Start. Raises :exc:`HardwareFault`."""
        pcm = open_pcm("speaker", self._device, capture=False, periods=PERIODS)
        self._queue = _Queue()
        self._on_fault = on_fault
        self._written_at = time.monotonic()
        worker = Worker(self.name, lambda: self._write(pcm, worker))
        self._worker = worker
        worker.start()

    def play(self, block: Block) -> None:
        """Queue *block*; a stalled device is told here, since its own thread hangs in the driver."""
        self.dropped += self._queue.put(block)
        if self._worker is not None and time.monotonic() - self._written_at > STALL_TIMEOUT_S:
            self._fault(f"speaker {self._device} takes no sound")

    def close(self) -> None:
        """Stop."""
        self._on_fault = None
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.stop()

    def _fault(self, words: str) -> None:
        on_fault, self._on_fault = self._on_fault, None
        if on_fault is not None:
            on_fault(words)

    def _write(self, pcm: Any, worker: Worker) -> None:
        alsa = importlib.import_module("alsaaudio")
        errors = 0
        try:
            while not worker.stopping.is_set():
                # A negative count is an underrun that ALSA has recovered from; a few in a row mean a broken device.
                errors = 0 if pcm.write(self._queue.take().tobytes()) >= 0 else errors + 1
                self._written_at = time.monotonic()
                if errors > MAX_WRITE_ERRORS:
                    self._fault(f"speaker {self._device} takes no sound")
                    return
        except alsa.ALSAAudioError as error:
            self._fault(f"speaker {self._device} stopped: {error}")
        finally:
            pcm.close()


class SimulatedSpeaker(Speaker):
    """Takes sound at its real pace and remembers the last second of it, for meters and tests."""

    def __init__(self) -> None:
        self.name = "simulated speaker"
        self._queue = _Queue()
        self._worker: Worker | None = None
        self._heard: deque[Block] = deque(maxlen=SAMPLE_RATE // BLOCK_SAMPLES)
        self._stalled = threading.Event()

    def open(self, on_fault: OnFault) -> None:
        """Start."""
        self._queue = _Queue()
        worker = Worker(self.name, lambda: self._listen(worker, on_fault))
        self._worker = worker
        worker.start()

    def play(self, block: Block) -> None:
        """Queue *block*."""
        self.dropped += self._queue.put(block)

    def close(self) -> None:
        """Stop."""
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.stop()

    def stall(self) -> None:
        """Stop taking sound, as a device whose driver hangs."""
        self._stalled.set()

    def recent(self) -> Block:
        """The last second that was played, oldest sample first."""
        return np.concatenate([*self._heard, SILENCE[:0]])

    def _listen(self, worker: Worker, on_fault: OnFault) -> None:
        due = time.monotonic()
        while not worker.stopping.wait(max(0.0, due - time.monotonic())):
            if self._stalled.is_set():
                if not worker.stopping.wait(STALL_TIMEOUT_S):
                    on_fault("the simulated speaker takes no sound")
                return
            self._heard.append(self._queue.take())
            due = max(due + BLOCK_SAMPLES / SAMPLE_RATE, time.monotonic() - 0.2)


def check_speaker(device: str) -> None:
    """Open and close *device* once. Raises :exc:`HardwareFault`."""
    open_pcm("speaker", device, capture=False, periods=PERIODS).close()
