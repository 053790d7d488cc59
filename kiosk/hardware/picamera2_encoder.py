"""The Pi's H.264 encoder on one open camera, through picamera2.

What can be changed while it runs, and how (picamera2 0.3.30 to 0.3.38 and the driver ``bcm2835-v4l2-codec`` read):

| what | how |
|---|---|
| bit rate | ``V4L2_CID_MPEG_VIDEO_BITRATE`` on the encoder's open node; picamera2 sets it at the start only |
| key frame | ``V4L2_CID_MPEG_VIDEO_FORCE_KEY_FRAME`` likewise: ``force_key_frame()`` is not in 0.3.30 yet |
| pictures a second | picamera2's ``frame_skip_count``; the camera itself goes on |
| size | by another encoder on the ISP's second stream, ``lores``; the first is stopped when that one runs |

A start begins with a key frame. All of it is called on the camera's thread; pictures come on picamera2's.
"""

from __future__ import annotations

import contextlib
import logging
import struct
import time
from collections.abc import Callable
from concurrent.futures import CancelledError
from typing import Any

from kiosk.errors import HardwareFault
from kiosk.hardware.camera import Coded, Coding, OnCoded
from kiosk.hardware.picamera2_library import Library

log = logging.getLogger(__name__)

VIDIOC_S_CTRL = 0xC008561C
CONTROL = struct.Struct("=Ii")
"""``struct v4l2_control`` (linux/videodev2.h): which, value."""
BITRATE = 0x009909CF
FORCE_KEY_FRAME = 0x009909E5
PROFILE = "constrained baseline"
"""What the offer names (profile-level-id 42e01f)."""
KEYFRAME_EVERY_S = 60
"""As :mod:`kiosk.media.encoders`: they come when they are asked for."""
SILENT_S = 1.0
"""An encoder that has given nothing for so long is looked at: at 5 pictures a second it leaves out five."""
OWED_PICTURES = 3
"""So many that it was given and has not given back are not on their way any more. On a machine that is too busy to
give it any, it owes none."""
FAULTS = (RuntimeError, OSError, ValueError, LookupError, CancelledError)
"""What picamera2 raises where libcamera, the driver or a time-out fail it."""


def new_encoder(library: Library, *, bps: int, fps: int) -> Any:
    """An ``H264Encoder`` for calls: its rate control knows *fps*, its headers come with each key frame."""
    return library.encoder(
        bitrate=bps,
        repeat=True,
        iperiod=KEYFRAME_EVERY_S * fps,
        framerate=fps,
        enable_sps_framerate=True,
        profile=PROFILE,
    )


def tap(library: Library, take: Callable[[bytes, bool, int], None]) -> Any:
    """An ``Output`` that gives *take* each picture: data, key frame or not, microseconds since the first."""

    def outputframe(
        output: Any, frame: Any, keyframe: bool = True, timestamp: int | None = None, *rest: Any, **more: Any
    ) -> None:
        take(bytes(frame), bool(keyframe), timestamp or 0)

    return type("Tap", (library.output,), {"outputframe": outputframe})()


def abandon(encoder: Any) -> None:
    """Let go what could not be started: its thread may run already, and then waits for nothing but this."""
    with contextlib.suppress(*FAULTS, AttributeError, TypeError):  # it stops what it has not begun
        encoder.stop()


class Picamera2Encoder:
    """The encoder of *camera*, an open ``Picamera2`` that films *fps* pictures a second."""

    def __init__(self, library: Library, camera: Any, *, fps: int) -> None:
        self._library = library
        self._camera = camera
        self._fps = fps
        self._encoder: Any = None
        self._coding: Coding | None = None
        self._on_coded: OnCoded = lambda coded: None
        self._number = 0
        self._first_at = 0.0
        self._heard_at = 0.0
        self._given_when_heard = 0

    def follow(self, coding: Coding, on_coded: OnCoded) -> None:
        """Make *coding*. Raises one of :data:`FAULTS`."""
        before, self._on_coded = self._coding, on_coded
        if coding == before:
            return
        self._coding = coding
        if before is None or (coding.half, coding.run) != (before.half, before.run):
            self._begin(coding)
            return
        self._encoder.frame_skip_count = coding.every
        if coding.bps != before.bps:
            self._control(BITRATE, coding.bps)

    def request_keyframe(self) -> None:
        """With the next picture. Raises :exc:`OSError`."""
        if self._encoder is not None:
            self._control(FORCE_KEY_FRAME, 1)

    @property
    def silent(self) -> bool:
        """Whether it gives nothing, be it that it does not run, or that it is given nothing."""
        return self._encoder is None or time.monotonic() - self._heard_at > SILENT_S

    def must_not_owe(self) -> None:
        """Raises :exc:`HardwareFault` if it keeps what it is given."""
        if self._encoder is None or not self.silent:
            return
        if self._encoder.frames_encoded - self._given_when_heard >= OWED_PICTURES:
            raise HardwareFault(f"it has given no picture for {SILENT_S:g} s")

    def stop(self) -> None:
        """Make nothing any more. May be called twice."""
        self._number += 1
        encoder, self._encoder, self._coding = self._encoder, None, None
        if encoder is not None:
            self._end(encoder)

    def _begin(self, coding: Coding) -> None:
        before, encoder = self._encoder, new_encoder(self._library, bps=coding.bps, fps=self._fps)
        encoder.frame_skip_count = coding.every
        self._number += 1
        number = self._number
        self._first_at, self._heard_at, self._given_when_heard = float("inf"), time.monotonic(), 0

        def take(data: bytes, keyframe: bool, timestamp_us: int) -> None:
            if number == self._number:
                self._given_when_heard = encoder.frames_encoded
                self._take(data, keyframe, timestamp_us / 1e6)

        try:
            self._camera.start_encoder(encoder, tap(self._library, take), name="lores" if coding.half else "main")
            self._encoder = encoder
        except FAULTS:
            self._encoder = None
            abandon(encoder)
            raise
        finally:
            if before is not None:
                self._end(before)

    def _take(self, data: bytes, keyframe: bool, since_first_s: float) -> None:
        now = self._heard_at = time.monotonic()
        # The sensor's clock is told from its first picture on only. The quickest way here was the truest.
        self._first_at = min(self._first_at, now - since_first_s)
        self._on_coded(Coded(data, keyframe, self._first_at + since_first_s))

    def _end(self, encoder: Any) -> None:
        try:
            self._camera.stop_encoder(encoder)
        except FAULTS as error:
            log.warning("x camera %s: its encoder does not stop: %s", self._library.name, error)

    def _control(self, control: int, value: int) -> None:
        self._library.ioctl(self._encoder.vd, VIDIOC_S_CTRL, CONTROL.pack(control, value))
