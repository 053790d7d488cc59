"""The simulated Pi's H.264 encoder: picamera2's contract, and real H.264 by libx264."""

from __future__ import annotations

import errno
import fractions
import os
import threading
from typing import Any, Literal

import av
from av.video.frame import PictureType

from kiosk.hardware.picamera2_encoder import BITRATE, FORCE_KEY_FRAME

MIN_BPS, MAX_BPS, BPS_STEP = 25_000, 25_000_000, 25_000
"""Of the driver bcm2835-v4l2-codec: other values are brought into the range."""
MOST_BPS = 5_000_000
"""libx264 goes never above what it began with."""
BUFFER_S = 0.25
MICROSECONDS = fractions.Fraction(1, 1_000_000)


class Board:
    """What is on the simulated Pi and what fails of it. Written and read on any thread."""

    def __init__(self) -> None:
        self.plugged = True
        """The ribbon. Without it no camera can be opened, and one that is open is silent."""
        self.first_picture_after_s = 0.0
        """What the sensor takes to start."""
        self.encodes = True
        """Whether there is an encoder to be started: none on a Pi 5."""
        self.encoder_works = True
        """An encoder that does not keeps what it is given, and is silent."""
        self.keyframes_late_by = 0
        """Pictures between the asking for a key frame and its coming."""
        self.headers: Literal["with each", "with the first", "lost"] = "with each"
        """Key frame SPS and PPS come."""
        self.opened = 0
        """Cameras that are open now: libcamera gives one to one."""
        self.encoders = 0
        """That run now."""
        self.started = 0
        """Encoders, in all."""
        self.looked = 0
        """How often somebody looked whether a picture comes."""
        self.copied = 0
        """Frames that were copied for somebody."""


class SimulatedOutput:
    """``picamera2.outputs.Output``."""

    def __init__(self, pts: str | None = None) -> None:
        self.recording = False

    def start(self) -> None:
        """The encoder starts."""
        self.recording = True

    def stop(self) -> None:
        """The encoder has stopped."""
        self.recording = False

    def outputframe(
        self,
        frame: bytes,
        keyframe: bool = True,
        timestamp: int | None = None,
        packet: Any = None,
        audio: bool = False,
    ) -> None:
        """One picture; *timestamp* in microseconds since the encoder's first."""


class Node:
    """``/dev/video11``, opened by an encoder."""

    def __init__(self) -> None:
        self.bps = 0
        self.keyframes_wanted = 0
        self.closed = False

    def control(self, control: int, value: int) -> None:
        """``VIDIOC_S_CTRL``."""
        if self.closed:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        if control == BITRATE:
            self.bps = min(MAX_BPS, max(MIN_BPS, round(value / BPS_STEP) * BPS_STEP))
        elif control == FORCE_KEY_FRAME:
            self.keyframes_wanted += 1
        else:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))


class SimulatedH264Encoder:
    """``picamera2.encoders.h264_encoder.H264Encoder``: one is started once."""

    def __init__(self, board: Board, *, bitrate: int, framerate: float, **other: Any) -> None:
        self._board = board
        self._bps = bitrate
        self._fps = framerate
        self.size, self.stride, self.format = (0, 0), 0, ""
        self.name = ""
        self.frame_skip_count = 1
        self.vd: Any = None
        self.held = 0
        """Requests it has not given back."""
        self._output: Any = None
        self._lock = threading.Lock()
        self._context: Any = None
        self._headers_sent = False
        self._first: int | None = None
        self.frames_encoded = 0
        self._answered = 0
        self._keyframe_in: int | None = None

    @property
    def output(self) -> Any:
        """Where pictures go."""
        return self._output

    @output.setter
    def output(self, output: Any) -> None:
        if not isinstance(output, SimulatedOutput):
            raise RuntimeError("Must pass Output")
        self._output = output

    @property
    def running(self) -> bool:
        """Whether it is started."""
        return self._context is not None

    def start(self, quality: Any = None) -> None:
        """Raises :exc:`OSError` where there is no encoder."""
        if self.running:
            raise RuntimeError("Encoder already running")
        if not self._board.encodes:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), "/dev/video11")
        self.vd = Node()
        self.vd.control(BITRATE, self._bps)
        self._context = self._made()
        self._output.start()
        self._board.encoders += 1
        self._board.started += 1

    def stop(self) -> None:
        """Give back what is held, and let the node go."""
        if not self.running:
            raise RuntimeError("Encoder already stopped")
        with self._lock:
            self._context, self.held = None, 0
            self.vd.closed = True
            self._board.encoders -= 1
        self._output.stop()

    def encode(self, picture: av.VideoFrame, at_us: int) -> None:
        """Encode *picture*, taken at *at_us* (the camera's thread)."""
        with self._lock:
            self.frames_encoded += 1
            if not self.running or (self.frames_encoded - 1) % self.frame_skip_count:
                return
            if not self._board.encoder_works:
                self.held += 1
                return
            self.held = 0
            self._first = at_us if self._first is None else self._first
            picture.pts, picture.time_base = at_us - self._first, MICROSECONDS
            picture.pict_type = PictureType.I if self._keyframe_is_due() else PictureType.NONE
            if self._context.bit_rate != self.vd.bps:
                self._context.bit_rate = self.vd.bps
            for packet in self._context.encode(picture):
                self._output.outputframe(self._with_headers(packet), packet.is_keyframe, packet.pts, None, False)

    def _keyframe_is_due(self) -> bool:
        if self._keyframe_in is None and self.vd.keyframes_wanted > self._answered:
            self._answered, self._keyframe_in = self.vd.keyframes_wanted, self._board.keyframes_late_by
        if self._keyframe_in is None:
            return False
        due = self._keyframe_in == 0
        self._keyframe_in = None if due else self._keyframe_in - 1
        return due

    def _with_headers(self, packet: Any) -> bytes:
        """libx264 is told to leave them out; they stand in its extradata."""
        sent, self._headers_sent = self._headers_sent, True
        bring = {"with each": packet.is_keyframe, "with the first": not sent, "lost": False}
        headers = bytes(self._context.extradata) if bring[self._board.headers] else b""
        return headers + bytes(packet)

    def _made(self) -> Any:
        context: Any = av.CodecContext.create("libx264", "w")
        context.width, context.height = self.size
        context.pix_fmt, context.time_base = "yuv420p", MICROSECONDS
        context.framerate = fractions.Fraction(self._fps).limit_denominator(1000)
        context.gop_size, context.max_b_frames, context.bit_rate = 100_000, 0, MOST_BPS
        context.profile = "Baseline"
        context.options = {
            "preset": "ultrafast",
            "tune": "zerolatency",
            "forced-idr": "1",
            "maxrate": str(MOST_BPS),
            "bufsize": str(round(MOST_BPS * BUFFER_S)),
            "flags": "+global_header",
            "x264-params": "scenecut=0",
        }
        context.open()
        return context
