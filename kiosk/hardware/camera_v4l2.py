"""A USB camera through V4L2, read by FFmpeg's ``v4l2`` input (PyAV)."""

from __future__ import annotations

import av
from av.container import InputContainer

from kiosk.errors import HardwareFault
from kiosk.hardware.camera import Camera, OnFault, OnFrame
from kiosk.hardware.worker import Worker


class V4l2Camera(Camera):
    """The V4L2 *device*, for example ``/dev/video0``."""

    def __init__(self, device: str, *, width: int, height: int, fps: int) -> None:
        self.name = device
        self._options = {"video_size": f"{width}x{height}", "framerate": str(fps)}
        self._worker: Worker | None = None

    def open(self, on_frame: OnFrame, on_fault: OnFault) -> None:
        """Start capturing. Raises :exc:`HardwareFault`."""
        try:
            source = av.open(self.name, format="v4l2", options=self._options)
        except (av.FFmpegError, OSError, ValueError) as error:
            raise HardwareFault(f"camera {self.name}: cannot be opened: {error} (is it plugged in?)") from None
        worker = Worker(f"camera {self.name}", lambda: self._capture(source, worker, on_frame, on_fault))
        self._worker = worker
        worker.start()

    def close(self) -> None:
        """Stop capturing."""
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.stop()

    def _capture(self, source: InputContainer, worker: Worker, on_frame: OnFrame, on_fault: OnFault) -> None:
        try:
            for frame in source.decode(video=0):
                if worker.stopping.is_set():
                    return
                on_frame(frame.reformat(format="yuv420p"))
            on_fault(f"camera {self.name} delivers no more pictures")
        except (av.FFmpegError, OSError) as error:
            on_fault(f"camera {self.name} stopped: {error}")
        finally:
            source.close()
