"""The Pi's own camera, through picamera2.

picamera2 needs Raspberry Pi OS's libcamera bindings, so it is imported when first used and never elsewhere.
"""

from __future__ import annotations

import importlib
from typing import Any

import av

from kiosk.errors import HardwareFault
from kiosk.hardware.camera import Camera, OnFault, OnFrame
from kiosk.hardware.worker import Worker

BUFFERS = 4
"""picamera2's own advice for video: fewer drop frames, more add delay."""


def has_pi_camera() -> bool:
    """Whether libcamera sees a camera. Raises :exc:`HardwareFault` where picamera2 is missing."""
    return bool(_picamera2().Picamera2.global_camera_info())


def _picamera2() -> Any:
    try:
        return importlib.import_module("picamera2")
    except ImportError as error:
        raise HardwareFault(
            f"camera picamera2: the library is missing ({error}); on Raspberry Pi OS: apt install"
            " python3-picamera2, and a virtual environment with --system-site-packages"
        ) from None


class Picamera2Camera(Camera):
    """The first camera libcamera knows."""

    def __init__(self, *, width: int, height: int, fps: int) -> None:
        self.name = "picamera2"
        self._size = (width, height)
        self._fps = fps
        self._camera: Any = None
        self._worker: Worker | None = None

    def open(self, on_frame: OnFrame, on_fault: OnFault) -> None:
        """Start capturing. Raises :exc:`HardwareFault`."""
        self.close()
        library = _picamera2()
        camera: Any = None
        try:
            camera = library.Picamera2()
            wanted = camera.create_video_configuration(
                main={"size": self._size, "format": "YUV420"},
                controls={"FrameRate": float(self._fps)},
                buffer_count=BUFFERS,
            )
            # Rows are padded unless the width suits the ISP; the aligned size has no padding.
            camera.align_configuration(wanted)
            camera.configure(wanted)
            camera.start()
        except (RuntimeError, IndexError, OSError, ValueError) as error:
            if camera is not None:
                camera.close()  # libcamera would keep it acquired, and the next opening would fail for that
            raise HardwareFault(f"camera picamera2: cannot be opened: {error} (is the ribbon in?)") from None
        self._camera = camera
        worker = Worker("camera picamera2", lambda: self._capture(camera, worker, on_frame, on_fault))
        self._worker = worker
        worker.start()

    def close(self) -> None:
        """Stop capturing and let libcamera go."""
        worker, self._worker = self._worker, None
        camera, self._camera = self._camera, None
        if worker is not None:
            worker.stop()
        if camera is not None:
            camera.stop()
            camera.close()

    def _capture(self, camera: Any, worker: Worker, on_frame: OnFrame, on_fault: OnFault) -> None:
        try:
            while not worker.stopping.is_set():
                # One array of height * 3/2 rows: Y above, then U and V.
                on_frame(av.VideoFrame.from_ndarray(camera.capture_array("main"), format="yuv420p"))
        except (RuntimeError, OSError, ValueError) as error:
            if not worker.stopping.is_set():
                on_fault(f"camera picamera2 stopped: {error}")
