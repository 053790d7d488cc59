"""The microphone's port, ALSA's implementation and two simulated ones.

Sound is mono, signed 16 bit, 48 kHz, in blocks of 20 ms. Nothing is captured, and no device is held, while a
microphone is closed.
"""

from __future__ import annotations

import importlib
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from kiosk.errors import HardwareFault
from kiosk.hardware.worker import Worker

SAMPLE_RATE = 48_000
BLOCK_SAMPLES = 960
PERIODS = 4
"""ALSA buffer in blocks: enough for a late wake-up of the thread, and capture delay does not depend on it."""
MAX_READ_ERRORS = 5
"""Reads that fail in a row before the device counts as gone; a single overrun is normal under load."""
SAMPLE_FILE = Path(__file__).parent / "samples" / "hello.ogg"
"""Spoken by espeak-ng (English, then Mandarin), Opus at 16 kb/s."""
SAMPLE_PAUSE_S = 0.6

Block = NDArray[np.int16]
OnBlock = Callable[[Block], None]
OnFault = Callable[[str], None]


class Microphone(ABC):
    """A source of sound.

    Implementations must deliver blocks at their real pace on a thread of their own, must call *on_fault* at most
    once per opening, and must be able to be opened again after :meth:`close`.
    """

    name: str

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
        pcm = open_pcm("microphone", self._device, capture=True, periods=PERIODS)
        worker = Worker(self.name, lambda: self._capture(pcm, worker, on_block, on_fault))
        self._worker = worker
        worker.start()

    def close(self) -> None:
        """Stop capturing."""
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.stop()

    def _capture(self, pcm: Any, worker: Worker, on_block: OnBlock, on_fault: OnFault) -> None:
        alsa = importlib.import_module("alsaaudio")
        errors = 0
        rest: Block = np.empty(0, np.int16)
        try:
            while not worker.stopping.is_set():
                length, data = pcm.read()
                errors = errors + 1 if length <= 0 else 0
                if errors > MAX_READ_ERRORS:
                    on_fault(f"microphone {self._device} delivers no sound (error {length})")
                    return
                rest = np.concatenate([rest, np.frombuffer(data, np.int16)]) if length > 0 else rest
                while len(rest) >= BLOCK_SAMPLES:
                    on_block(rest[:BLOCK_SAMPLES])
                    rest = rest[BLOCK_SAMPLES:]
        except alsa.ALSAAudioError as error:
            on_fault(f"microphone {self._device} stopped: {error}")
        finally:
            pcm.close()


class _PacedMicrophone(Microphone):
    """Delivers what :meth:`_block` makes, at its real pace."""

    def __init__(self) -> None:
        self._worker: Worker | None = None

    def open(self, on_block: OnBlock, on_fault: OnFault) -> None:
        """Start sounding."""
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
            on_block(self._block(number))
            number += 1
            due = max(due + BLOCK_SAMPLES / SAMPLE_RATE, time.monotonic() - 0.2)

    @abstractmethod
    def _block(self, number: int) -> Block: ...


class ToneMicrophone(_PacedMicrophone):
    """A sine of *hz* at *level* (0 to 1 of full scale)."""

    def __init__(self, hz: float, *, level: float = 0.3) -> None:
        super().__init__()
        self.name = f"tone of {hz:g} Hz"
        self._hz, self._level = hz, level

    def _block(self, number: int) -> Block:
        at = (np.arange(BLOCK_SAMPLES) + number * BLOCK_SAMPLES) / SAMPLE_RATE
        return (np.sin(2 * np.pi * self._hz * at) * self._level * 32767).astype(np.int16)


class SampleMicrophone(_PacedMicrophone):
    """A spoken sample, over and over with a pause between."""

    def __init__(self, path: Path = SAMPLE_FILE) -> None:
        super().__init__()
        self.name = f"spoken sample {path.name}"
        self._sound = _decode(path)

    def _block(self, number: int) -> Block:
        start = number * BLOCK_SAMPLES % len(self._sound)
        return self._sound[start : start + BLOCK_SAMPLES]


def open_pcm(what: str, device: str, *, capture: bool, periods: int) -> Any:
    """An ALSA PCM: mono, 16 bit, 48 kHz, periods of one block. Raises :exc:`HardwareFault`."""
    try:
        alsa = importlib.import_module("alsaaudio")
    except ImportError:
        raise HardwareFault(f"{what} {device}: the Python package pyalsaaudio is not installed") from None
    try:
        return alsa.PCM(
            type=alsa.PCM_CAPTURE if capture else alsa.PCM_PLAYBACK,
            mode=alsa.PCM_NORMAL,
            rate=SAMPLE_RATE,
            channels=1,
            format=alsa.PCM_FORMAT_S16_LE,
            periodsize=BLOCK_SAMPLES,
            periods=periods,
            device=device,
        )
    except alsa.ALSAAudioError as error:
        raise HardwareFault(f"{what} {device}: cannot be opened: {error} (is it there, and free?)") from None


def _decode(path: Path) -> Block:
    resampler = av.AudioResampler(format="s16", layout="mono", rate=SAMPLE_RATE)
    parts: list[Block] = []
    with av.open(str(path)) as source:
        for frame in source.decode(audio=0):
            parts += [made.to_ndarray()[0].astype(np.int16) for made in resampler.resample(frame)]
    parts += [made.to_ndarray()[0].astype(np.int16) for made in resampler.resample(None)]
    sound = np.concatenate([*parts, np.zeros(round(SAMPLE_PAUSE_S * SAMPLE_RATE), np.int16)])
    return sound[: len(sound) // BLOCK_SAMPLES * BLOCK_SAMPLES]
