"""A USB camera through V4L2, read by FFmpeg's ``v4l2`` input (PyAV).

A Pi has a dozen ``/dev/video*`` nodes that are no cameras: codecs, image processors, and raw sensors that only
libcamera can drive. :func:`find_v4l2_camera` asks each node what it is.
"""

from __future__ import annotations

import fcntl
import os
import re
import struct
from collections.abc import Callable
from pathlib import Path

import av
from av.container import InputContainer

from kiosk.errors import HardwareFault
from kiosk.hardware.camera import Camera, OnFault, OnFrame
from kiosk.hardware.worker import Worker

VIDIOC_QUERYCAP = 0x80685600
CAPABILITY = struct.Struct("=16s32s32sIII12x")
"""``struct v4l2_capability`` (linux/videodev2.h): driver, card, bus, version, what card and node can do."""
CAN_CAPTURE = 0x1
"""V4L2_CAP_VIDEO_CAPTURE; the multi-planar kind is not read by FFmpeg and no USB camera's."""
NOT_CAMERAS = ("bcm2835-codec", "bcm2835-isp", "pispbe", "rp1-cfe", "unicam")
"""Drivers of the Pi's own nodes that call themselves capturing but give no picture without libcamera."""


class V4l2Camera(Camera):
    """The V4L2 *device*, for example ``/dev/video0``."""

    def __init__(self, device: str, *, width: int, height: int, fps: int) -> None:
        self.name = device
        self._options = {"video_size": f"{width}x{height}", "framerate": str(fps)}
        self._worker: Worker | None = None

    def open(self, on_frame: OnFrame, on_fault: OnFault) -> None:
        """Start capturing. Raises :exc:`HardwareFault`."""
        self.close()
        try:
            source = av.open(self.name, format="v4l2", options=self._options)
        except (av.FFmpegError, OSError, ValueError) as error:
            raise HardwareFault(
                f"camera {self.name}: cannot be opened: {error} (is it plugged in, and used by nobody else?)"
            ) from None
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
            on_fault(f"camera {self.name} delivers no more pictures (is it plugged in?)")
        except (av.FFmpegError, OSError, IndexError) as error:
            on_fault(f"camera {self.name} stopped: {error} (is it plugged in?)")
        finally:
            source.close()


def find_v4l2_camera(folder: Path = Path("/dev"), *, ask: Callable[[Path], bytes] | None = None) -> str | None:
    """The first node in *folder* that is a camera, by number; *ask* reads a node's ``v4l2_capability``."""
    nodes = {int(node.name[5:]): node for node in folder.glob("video*") if re.fullmatch(r"video\d+", node.name)}
    for _, node in sorted(nodes.items()):
        try:
            answer = (ask or _query_capability)(node)
        except OSError:
            continue  # gone again, not ours to open, or no V4L2 node: in any case not a camera for us
        if _is_camera(answer):
            return str(node)
    return None


def _is_camera(capability: bytes) -> bool:
    driver, _, _, _, _, abilities = CAPABILITY.unpack(capability)
    return bool(abilities & CAN_CAPTURE) and driver.rstrip(b"\0").decode() not in NOT_CAMERAS


def _query_capability(node: Path) -> bytes:
    descriptor = os.open(node, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        return fcntl.ioctl(descriptor, VIDIOC_QUERYCAP, bytes(CAPABILITY.size))
    finally:
        os.close(descriptor)
