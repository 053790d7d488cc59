"""picamera2 without a Raspberry Pi: the moving picture for a camera, and libx264 for the VideoCore.

It stands in for picamera2 in :class:`~kiosk.hardware.camera_picamera2.Picamera2Camera` and keeps picamera2's
contract where that class relies on it: requests come on the camera's own thread, ``capture_array`` waits for the
next with an end, an encoder wants an ``Output`` and gives it ``outputframe(frame, keyframe, timestamp, packet,
audio)`` with microseconds since its first picture, a stopped ribbon is silence and no error, an encoder that keeps
what it was given starves the camera of its buffers. :class:`~kiosk.hardware.simulated_h264.Board` says what is
plugged in and what fails.
"""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from kiosk.hardware.moving_picture import MovingPicture
from kiosk.hardware.picamera2_encoder import CONTROL, VIDIOC_S_CTRL
from kiosk.hardware.picamera2_library import Library
from kiosk.hardware.simulated_h264 import Board, Node, SimulatedH264Encoder, SimulatedOutput

ALIGNED = 64
"""Points that a row's length is a multiple of, for the ISP."""


class SimulatedLibrary(Library):
    """picamera2 on *board*."""

    name = "picamera2 (simulated)"

    def __init__(self, board: Board) -> None:
        self._board = board

    @property
    def camera(self) -> Any:
        """See :class:`Library`."""
        return partial(SimulatedPicamera2, self._board)

    @property
    def encoder(self) -> Any:
        """See :class:`Library`."""
        return partial(SimulatedH264Encoder, self._board)

    @property
    def output(self) -> Any:
        """See :class:`Library`."""
        return SimulatedOutput

    @property
    def transform(self) -> Any:
        """See :class:`Library`."""
        return dict

    def ioctl(self, node: Any, request: int, argument: bytes) -> None:
        """See :class:`Library`."""
        if not isinstance(node, Node) or request != VIDIOC_S_CTRL:
            raise OSError(errno.ENOTTY, os.strerror(errno.ENOTTY))
        node.control(*CONTROL.unpack(argument))


class SimulatedPicamera2:
    """``picamera2.Picamera2``."""

    def __init__(self, board: Board) -> None:
        if board.opened or not board.plugged:
            raise RuntimeError("Camera __init__ sequence did not complete.")
        board.opened += 1
        self._board = board
        self._configuration: dict[str, Any] = {}
        self._film: MovingPicture | None = None
        self._lock = threading.Lock()
        self._encoders: set[SimulatedH264Encoder] = set()
        self._jobs: list[tuple[Future[Any], Callable[[av.VideoFrame], Any]]] = []
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="simulated picamera2", daemon=True)

    def create_video_configuration(self, **wanted: Any) -> dict[str, Any]:
        """What picamera2 adds is of no concern here."""
        return {"lores": None, "transform": {}, **{key: _own(value) for key, value in wanted.items()}}

    def align_configuration(self, wanted: dict[str, Any]) -> None:
        """Make rows that need no padding."""
        for stream in (wanted["main"], wanted["lores"]):
            if stream is not None:
                width, height = stream["size"]
                stream["size"] = (width - width % ALIGNED, height - height % 2)

    def configure(self, wanted: dict[str, Any]) -> None:
        """Take *wanted*."""
        width, height = wanted["main"]["size"]
        self._configuration = wanted
        self._film = MovingPicture(width=width, height=height, fps=round(self._fps))

    def start(self) -> None:
        """Film."""
        self._thread.start()

    def close(self) -> None:
        """Stop, and let the camera go."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        self._board.opened -= 1

    def capture_array(self, name: str = "main", *, wait: float) -> NDArray[np.uint8]:
        """The next picture. Raises :exc:`TimeoutError`."""
        self._board.copied += 1
        array: NDArray[np.uint8] = self._asked(lambda frame: frame.to_ndarray(), wait)
        return array

    def capture_metadata(self, *, wait: float) -> dict[str, Any]:
        """That of the next picture. Raises :exc:`TimeoutError`."""
        self._board.looked += 1
        metadata: dict[str, Any] = self._asked(lambda frame: {}, wait)
        return metadata

    def cancel_all_and_flush(self) -> None:
        """Let nobody wait any more."""
        with self._lock:
            jobs, self._jobs = self._jobs, []
        for future, _ in jobs:
            future.cancel()

    def start_encoder(self, encoder: SimulatedH264Encoder, output: Any, *, name: str) -> None:
        """Give *encoder* each picture of the stream *name*."""
        if self._configuration.get(name) is None:
            raise RuntimeError(f"Encode stream {name} was not defined")
        encoder.output, encoder.name = output, name
        encoder.size = self._configuration[name]["size"]
        encoder.start()
        with self._lock:
            self._encoders.add(encoder)

    def stop_encoder(self, encoder: SimulatedH264Encoder) -> None:
        """Give it none any more."""
        encoder.stop()
        with self._lock:
            self._encoders.remove(encoder)

    @property
    def _fps(self) -> float:
        return float(self._configuration["controls"]["FrameRate"])

    def _asked(self, act: Callable[[av.VideoFrame], Any], wait: float) -> Any:
        future: Future[Any] = Future()
        with self._lock:
            self._jobs.append((future, act))
        return future.result(timeout=wait)

    def _run(self) -> None:
        began, number = time.monotonic() + self._board.first_picture_after_s, 0
        while not self._stopping.wait(max(0.0, began + number / self._fps - time.monotonic())):
            with self._lock:
                encoders = list(self._encoders)
                starved = any(one.held >= self._configuration["buffer_count"] for one in encoders)
            if self._board.plugged and not starved:
                self._picture(number, encoders)
            number += 1

    def _picture(self, number: int, encoders: list[SimulatedH264Encoder]) -> None:
        with self._lock:
            jobs, self._jobs = self._jobs, []
        if not jobs and not encoders:
            return
        assert self._film is not None
        frame = self._film.frame(number)
        if self._configuration["transform"].get("hflip"):
            frame = _half_turned(frame)
        for future, act in jobs:
            if future.set_running_or_notify_cancel():
                future.set_result(act(frame))
        for encoder in encoders:
            width, height = self._configuration[encoder.name]["size"]
            encoder.encode(frame.reformat(width=width, height=height), round(number * 1e6 / self._fps))


def _own(value: Any) -> Any:
    return dict(value) if isinstance(value, dict) else value


def _half_turned(frame: av.VideoFrame) -> av.VideoFrame:
    """By 180 degrees, which is each plane read backwards."""
    planes = frame.to_ndarray()
    chroma = planes[frame.height :].reshape(2, -1)[:, ::-1].reshape(-1, frame.width)
    return av.VideoFrame.from_ndarray(
        np.concatenate([planes[: frame.height][::-1, ::-1], chroma]), format="yuv420p"
    )
