"""The microphone's port, ALSA's implementation and two simulated ones.

Sound is mono, signed 16 bit, 48 kHz, in blocks of 20 ms. Nothing is captured, and no device is held, while a
microphone is closed.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import av
import numpy as np

from kiosk.hardware.alsa import alsa_error, open_pcm
from kiosk.hardware.sound import BLOCK_S, BLOCK_SAMPLES, SAMPLE_RATE, Block, OnBlock, OnFault
from kiosk.hardware.worker import Worker

__all__ = [
    "BLOCK_SAMPLES",
    "SAMPLE_RATE",
    "AlsaMicrophone",
    "Block",
    "Microphone",
    "OnBlock",
    "OnFault",
    "PacedMicrophone",
    "SampleMicrophone",
    "ToneMicrophone",
]

PERIOD_SAMPLES = BLOCK_SAMPLES // 2
"""10 ms: half the wait of a block for the rest of its period when a device grants periods that do not divide it."""
PERIODS = 8
"""ALSA buffer in periods: enough for a late wake-up of the thread, and capture delay does not depend on it."""
MAX_READ_ERRORS = 5
"""Reads that fail in a row before the device counts as gone; a single overrun is normal under load."""
SAMPLE_FILE = Path(__file__).parent / "samples" / "hello.ogg"
"""Spoken by espeak-ng ("Hello, this is the patient in bed three. Can you hear me?" with ``-v en -s 150``, then
"你好，我是三床的病人。你能听到我说话吗？" with ``-v cmn -s 150``), mono Opus at 12 kb/s by PyAV's
libopus, application voip."""
SAMPLE_PAUSE_S = 0.6
CATCH_UP_S = 0.2
"""A simulated microphone whose thread woke later than this leaves the rest out, as an overrun does."""


class Microphone(ABC):
    """A source of sound.

    Implementations must deliver blocks of ``BLOCK_SAMPLES`` at their real pace on a thread of their own, must call
    *on_fault* at most once per opening, on that thread, and must be able to be opened again after :meth:`close`.
    A block belongs to the microphone: whoever keeps it, copies it.
    """

    name: str
    moved_at: float = 0.0
    """Monotonic seconds of the last block; 0 = none yet."""
    delay_s: float = BLOCK_S
    """Seconds, estimated, since the first sample of the block that is being delivered was heard."""

    @abstractmethod
    def open(self, on_block: OnBlock, on_fault: OnFault) -> None:
        """Start capturing. Raises :exc:`HardwareFault` if the device cannot be opened."""

    @abstractmethod
    def close(self) -> None:
        """Stop capturing and let the device go. May be called twice."""


class AlsaMicrophone(Microphone):
    """An ALSA capture *device* such as ``default`` or ``plughw:1``."""

    def __init__(self, device: str) -> None:
        self.name = f"ALSA {device}"
        self._device = device
        self._worker: Worker | None = None

    def open(self, on_block: OnBlock, on_fault: OnFault) -> None:
        """Start capturing. Raises :exc:`HardwareFault`."""
        self.close()
        pcm = open_pcm("microphone", self._device, capture=True, periods=PERIODS, period=PERIOD_SAMPLES)
        worker = Worker(self.name, lambda: self._capture(pcm, worker, on_block, on_fault))
        self._worker = worker
        worker.start()

    def close(self) -> None:
        """Stop capturing."""
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.stop()

    def _capture(self, pcm: Any, worker: Worker, on_block: OnBlock, on_fault: OnFault) -> None:
        errors = 0
        rest: Block = np.empty(0, np.int16)
        try:
            while not worker.stopping.is_set():
                length, data = pcm.read()
                errors = errors + 1 if length <= 0 else 0
                if errors > MAX_READ_ERRORS:
                    on_fault(f"microphone {self._device} delivers no sound (error {length})")
                    return
                # Devices may grant another period than was asked; what is delivered is whole blocks all the same.
                rest = np.concatenate([rest, np.frombuffer(data, np.int16)])
                while len(rest) >= BLOCK_SAMPLES:
                    self.delay_s = (len(rest) + max(0, pcm.avail())) / SAMPLE_RATE
                    self.moved_at = time.monotonic()
                    on_block(rest[:BLOCK_SAMPLES])
                    rest = rest[BLOCK_SAMPLES:]
        except alsa_error() as error:
            on_fault(f"microphone {self._device} stopped: {error}")
        finally:
            pcm.close()


class PacedMicrophone(Microphone):
    """A simulated one: delivers what :meth:`_block` makes, at its real pace."""

    def __init__(self) -> None:
        self._worker: Worker | None = None

    def open(self, on_block: OnBlock, on_fault: OnFault) -> None:
        """Start sounding."""
        self.close()
        worker = Worker(self.name, lambda: self._play(worker, on_block))
        self._worker = worker
        worker.start()

    def close(self) -> None:
        """Stop sounding."""
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.stop()

    def _play(self, worker: Worker, on_block: OnBlock) -> None:
        due = time.monotonic()
        number = 0
        while not worker.stopping.wait(max(0.0, due - time.monotonic())):
            self.moved_at = time.monotonic()
            on_block(self._block(number))
            number += 1
            due = max(due + BLOCK_S, time.monotonic() - CATCH_UP_S)

    @abstractmethod
    def _block(self, number: int) -> Block: ...


class ToneMicrophone(PacedMicrophone):
    """A sine of *hz* at *level* (0 to 1 of full scale)."""

    def __init__(self, hz: float, *, level: float = 0.3) -> None:
        super().__init__()
        self.name = f"tone of {hz:g} Hz"
        self._hz, self._level = hz, level

    def _block(self, number: int) -> Block:
        at = (np.arange(BLOCK_SAMPLES) + number * BLOCK_SAMPLES) / SAMPLE_RATE
        return (np.sin(2 * np.pi * self._hz * at) * self._level * 32767).astype(np.int16)


class SampleMicrophone(PacedMicrophone):
    """A spoken sample, over and over with a pause between."""

    def __init__(self, path: Path = SAMPLE_FILE) -> None:
        super().__init__()
        self.name = f"spoken sample {path.name}"
        self.sound = _decode(path)
        """All of it, with the pause."""

    def _block(self, number: int) -> Block:
        start = number * BLOCK_SAMPLES % len(self.sound)
        return self.sound[start : start + BLOCK_SAMPLES]


def _decode(path: Path) -> Block:
    resampler = av.AudioResampler(format="s16", layout="mono", rate=SAMPLE_RATE)
    parts: list[Block] = []
    with av.open(str(path)) as source:
        for frame in source.decode(audio=0):
            parts += [made.to_ndarray()[0].astype(np.int16) for made in resampler.resample(frame)]
    parts += [made.to_ndarray()[0].astype(np.int16) for made in resampler.resample(None)]
    sound = np.concatenate([*parts, np.zeros(round(SAMPLE_PAUSE_S * SAMPLE_RATE), np.int16)])
    return sound[: len(sound) // BLOCK_SAMPLES * BLOCK_SAMPLES]
