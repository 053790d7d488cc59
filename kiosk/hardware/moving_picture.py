"""A moving picture that carries a code, where there is no camera.

The top eighth is a strip of 24 equal cells: white, black, a 16-bit frame counter (most significant bit first), 4
bits of checksum (the counter's nibbles added, modulo 16), black, white. Whoever sees the picture can tell which
frame it is, and that it really is ours, also after lossy coding and scaling. Pure but for
:class:`MovingPicture`'s thread.
"""

from __future__ import annotations

import time
from typing import Literal

import av
import numpy as np
from numpy.typing import NDArray

from kiosk.hardware.camera import Camera, OnFault, OnFrame
from kiosk.hardware.worker import Worker

CELLS = 24
COUNTER_BITS = 16
WHITE, BLACK, THRESHOLD = 235, 16, 128
STRIP_FRACTION = 8
DISC_PERIOD_FRAMES = 90
CATCH_UP_S = 1.0
"""A film whose thread woke later than this leaves pictures out."""
NEUTRAL = 128
"""Of the two colours: grey."""
Sight = Literal["clear", "covered", "dazzled", "blank", "frozen", "nothing"]
"""What is before the lens, or wrong behind it."""
_FLAT: dict[Sight, int] = {"covered": BLACK, "dazzled": WHITE, "blank": 110}

Plane = NDArray[np.uint8]


def code_bits(counter: int) -> list[bool]:
    """The 24 cells for *counter* (0 to 65535), left to right; True = white."""
    counter &= 0xFFFF
    checksum = sum(counter >> shift & 0xF for shift in (0, 4, 8, 12)) % 16
    word = counter << 4 | checksum
    return [True, False, *(bool(word >> bit & 1) for bit in range(19, -1, -1)), False, True]


def draw_code(luma: Plane, counter: int) -> None:
    """Draw the strip for *counter* into *luma* (height × width)."""
    height, width = luma.shape
    edges = [round(cell * width / CELLS) for cell in range(CELLS + 1)]
    for cell, bit in enumerate(code_bits(counter)):
        luma[: height // STRIP_FRACTION, edges[cell] : edges[cell + 1]] = WHITE if bit else BLACK


def read_code(luma: Plane) -> int | None:
    """The counter in *luma* (height × width), or None when there is no whole code in it."""
    height, width = luma.shape
    if width < CELLS or height < 2 * STRIP_FRACTION:
        return None
    row = height // STRIP_FRACTION // 2
    bits = [bool(luma[row, int((cell + 0.5) * width / CELLS)] > THRESHOLD) for cell in range(CELLS)]
    word = sum(1 << 19 - index for index, bit in enumerate(bits[2:22]) if bit)
    counter = word >> 4
    return counter if bits == code_bits(counter) else None


class MovingPicture(Camera):
    """A disc on its round over a gradient, with the coded strip.

    After *vanish_after* frames it goes away like a camera whose plug is pulled. ``sight`` makes other faults.
    """

    def __init__(self, *, width: int, height: int, fps: int, vanish_after: int | None = None) -> None:
        self.name = "moving test picture"
        self._width, self._height, self._fps = width, height, fps
        self._vanish_after = vanish_after
        self.sight: Sight = "clear"
        self._worker: Worker | None = None
        # Drawn on in place and copied into each frame: fresh megabytes for each cost eight times that at 720p.
        self._planes: Plane = np.empty((height * 3 // 2, width), np.uint8)
        self._luma = self._planes[:height]
        self._luma[:] = _gradient(width)
        chroma = self._planes[height:].reshape(2, height // 2, width // 2)
        chroma[0] = np.linspace(90, 160, height // 2, dtype=np.uint8)[:, None]
        chroma[1] = 110
        self._radius = min(width, height) // 8
        y, x = np.ogrid[-self._radius : self._radius, -self._radius : self._radius]
        self._disc = x * x + y * y <= self._radius * self._radius
        self._drawn: tuple[slice, slice] | None = None

    def frame(self, counter: int) -> av.VideoFrame:
        """The picture number *counter*. One thread at a time."""
        if self._drawn is not None:
            self._luma[self._drawn] = _gradient(self._width)[self._drawn[1]]
        angle = 2 * np.pi * (counter % DISC_PERIOD_FRAMES) / DISC_PERIOD_FRAMES
        middle = self._height // STRIP_FRACTION + (self._height - self._height // STRIP_FRACTION) // 2
        x = round(self._width / 2 + self._width / 4 * np.cos(angle))
        y = round(middle + self._height / 5 * np.sin(angle))
        self._drawn = (slice(y - self._radius, y + self._radius), slice(x - self._radius, x + self._radius))
        self._luma[self._drawn][self._disc] = WHITE
        draw_code(self._luma, counter)
        return av.VideoFrame.from_ndarray(self._planes, format="yuv420p")

    def open(self, on_frame: OnFrame, on_fault: OnFault) -> None:
        """Start the film."""
        self.close()
        worker = Worker("moving test picture", lambda: self._play(worker, on_frame, on_fault))
        self._worker = worker
        worker.start()

    def close(self) -> None:
        """Stop the film."""
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.stop()

    def _play(self, worker: Worker, on_frame: OnFrame, on_fault: OnFault) -> None:
        due = time.monotonic()
        counter = 0
        while not worker.stopping.wait(max(0.0, due - time.monotonic())):
            if counter == self._vanish_after:
                on_fault("the moving test picture was unplugged")
                return
            if self.sight in _FLAT:
                on_frame(self._flat(_FLAT[self.sight]))
            elif self.sight != "nothing":
                on_frame(self.frame(counter if self.sight == "clear" else 0))
            counter += 1
            due = max(due + 1 / self._fps, time.monotonic() - CATCH_UP_S)

    def _flat(self, luma: int) -> av.VideoFrame:
        planes = np.full((self._height * 3 // 2, self._width), NEUTRAL, np.uint8)
        planes[: self._height] = luma
        return av.VideoFrame.from_ndarray(planes, format="yuv420p")


def _gradient(width: int) -> Plane:
    return np.linspace(60, 180, width, dtype=np.uint8)
