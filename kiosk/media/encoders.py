"""Video encoders behind one port: raw pictures in, encoded ones out, for all viewers at once.

What a viewer's decoder gets is one whole picture per packet: H.264 in Annex B with SPS and PPS before each key
frame, or a VP8 frame. No B frames: nothing waits for a later picture. Measured on 720p30 with noise, at 5 % loss
and 25 ms: without a bound on the single picture a key frame took 110 kB, which is 85 RTP packets at once; with the
rate control's buffer at ``BUFFER_S`` it takes 16 to 40 kB. ``maxrate`` and ``bufsize`` must be FFmpeg's own
options, not x264's: only then does a new bit rate take effect in the running encoder, without a key frame.

Threads: all of an encoder runs on the thread that encodes, but for ``request_keyframe`` and ``set_bit_rate``, which
any thread may call.
"""

from __future__ import annotations

import fractions
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import av
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType

from kiosk.errors import MediaError

log = logging.getLogger(__name__)

VideoCodec = Literal["H264", "VP8"]
CLOCK = 90_000
TIME_BASE = fractions.Fraction(1, CLOCK)
BUFFER_S = 0.25
"""How far the rate control may run ahead: what a key frame may take of the path at once."""
KEYFRAME_EVERY_S = 60
"""Key frames come when they are asked for; this is for a viewer whose asking is lost over and over."""
KEYFRAME_GAP_S = 0.3
"""Between two: above a round trip, so that the key frame that is on its way has a chance to end the asking."""
LEVEL_3_1_POINTS = 1280 * 720
VP8_STEP = 0.15
"""FFmpeg's libvpx takes no new bit rate while it runs; a smaller change is not worth its key frame."""
TRIAL_SIZE = (320, 192)
"""Of the picture an encoder is tried with."""
TRIAL_BPS = 300_000
VP8_SPEED = 8
"""Of -16 to 16, without the sign's adaptive kind: beside a call a core is not there to be used up."""


@dataclass(frozen=True)
class Encoded:
    """One picture for the wire. *pts* in 1/90000 s; *payloads*: *data* as RTP carries it, once that is made."""

    data: bytes
    pts: int
    keyframe: bool
    payloads: tuple[bytes, ...] = ()


@dataclass(frozen=True)
class Shape:
    """What an encoder is made for; another one takes another encoder. *max_bps*: the most it will be asked for."""

    width: int
    height: int
    fps: int
    max_bps: int


class Encoder(ABC):
    """One stream. Implementations must begin with a key frame and must repeat their headers with each."""

    codec: VideoCodec
    name: str
    shape: Shape

    @abstractmethod
    def encode(self, frame: av.VideoFrame, *, pts: int) -> list[Encoded]:
        """Encode *frame* (yuv420p of ``shape``), taken at *pts* (1/90000 s). Raises :exc:`MediaError`."""

    @abstractmethod
    def request_keyframe(self) -> None:
        """Make the next picture a key frame. Any thread."""

    @abstractmethod
    def set_bit_rate(self, bps: int) -> None:
        """Aim at *bps* from the next picture on. Any thread."""

    @abstractmethod
    def close(self) -> None:
        """Let it go. May be called twice."""


MakeEncoder = Callable[[Shape, int], Encoder]


class _LibavEncoder(Encoder):
    """What both of FFmpeg's encoders have in common."""

    def __init__(self, shape: Shape, bps: int) -> None:
        self.shape = shape
        self._bps = bps
        self._wants_keyframe = True
        self._context: VideoCodecContext | None = self._make(bps)

    @abstractmethod
    def _make(self, bps: int) -> VideoCodecContext: ...

    @abstractmethod
    def _aim(self, context: VideoCodecContext, bps: int) -> VideoCodecContext:
        """The context that makes *bps*: *context*, or another."""

    def encode(self, frame: av.VideoFrame, *, pts: int) -> list[Encoded]:
        """See :class:`Encoder`."""
        if self._context is None:
            raise MediaError(f"{self.name} is closed")
        try:
            self._context = context = self._aim(self._context, self._bps)
            # Before it is looked at: one asked for from now on is for the next picture.
            wanted, self._wants_keyframe = self._wants_keyframe, False
            frame.pict_type = PictureType.I if wanted else PictureType.NONE
            frame.pts, frame.time_base = pts, TIME_BASE
            return [Encoded(bytes(made), pts, bool(made.is_keyframe)) for made in context.encode(frame)]
        except (av.FFmpegError, ValueError) as error:
            raise MediaError(f"{self.name} cannot encode: {error}") from None

    def request_keyframe(self) -> None:
        """See :class:`Encoder`."""
        self._wants_keyframe = True

    def set_bit_rate(self, bps: int) -> None:
        """See :class:`Encoder`."""
        self._bps = bps

    def close(self) -> None:
        """See :class:`Encoder`."""
        self._context = None

    def _context_of(self, library: str, bps: int, options: dict[str, str]) -> VideoCodecContext:
        try:
            context: Any = av.CodecContext.create(library, "w")
            context.width, context.height = self.shape.width, self.shape.height
            context.pix_fmt = "yuv420p"
            context.bit_rate = bps
            context.framerate = fractions.Fraction(self.shape.fps)
            context.time_base = TIME_BASE
            context.gop_size = KEYFRAME_EVERY_S * self.shape.fps
            context.max_b_frames = 0
            context.options = options
            if library == "libx264":
                context.profile = "Baseline"
            context.open()
        except (av.FFmpegError, ValueError) as error:
            raise MediaError(f"{library} cannot be opened: {error}") from None
        made: VideoCodecContext = context
        return made


class X264Encoder(_LibavEncoder):
    """H.264 by libx264: constrained baseline, ultrafast, no look-ahead."""

    codec = "H264"
    name = "libx264 ultrafast"

    def _make(self, bps: int) -> VideoCodecContext:
        small = self.shape.width * self.shape.height <= LEVEL_3_1_POINTS and self.shape.fps <= 30
        # x264 follows a new bit rate at once only in CBR, which it enters where maxrate equals bit rate; and it
        # goes never above the maxrate it began with. So it begins at the most, and _aim lowers it before the first
        # picture.
        most = max(bps, self.shape.max_bps)
        return self._context_of(
            "libx264",
            most,
            {
                "preset": "ultrafast",
                "tune": "zerolatency",
                "forced-idr": "1",
                "level": "31" if small else "42",
                "maxrate": str(most),
                "bufsize": str(round(most * BUFFER_S)),
                # A cut in the scene is no reason: only a decoder that lacks a picture needs a key frame.
                "x264-params": "scenecut=0",
            },
        )

    def _aim(self, context: VideoCodecContext, bps: int) -> VideoCodecContext:
        if bps != context.bit_rate:
            context.bit_rate = bps  # FFmpeg hands it to x264_encoder_reconfig with the next picture
        return context


class Vp8Encoder(_LibavEncoder):
    """VP8 by libvpx, for seats that lack H.264."""

    codec = "VP8"
    name = "libvpx realtime"

    def _make(self, bps: int) -> VideoCodecContext:
        return self._context_of(
            "libvpx",
            bps,
            {
                "deadline": "realtime",
                "cpu-used": str(-VP8_SPEED),
                "lag-in-frames": "0",
                "error-resilient": "default",
                "static-thresh": "1",
                "maxrate": str(bps),
                "minrate": str(bps),
                "bufsize": str(round(bps * BUFFER_S)),
                "rc_init_occupancy": str(round(bps * BUFFER_S * 0.5)),
                "max-intra-rate": str(round(100 * BUFFER_S * self.shape.fps)),
            },
        )

    def _aim(self, context: VideoCodecContext, bps: int) -> VideoCodecContext:
        was = context.bit_rate or bps
        if abs(bps - was) <= VP8_STEP * was:
            return context
        self._wants_keyframe = True
        return self._make(bps)


SOFTWARE: dict[VideoCodec, MakeEncoder] = {"H264": X264Encoder, "VP8": Vp8Encoder}
"""What a codec is made with where no hardware makes it."""


def working_makers(makers: dict[VideoCodec, MakeEncoder] | None = None) -> dict[VideoCodec, MakeEncoder]:
    """Those of *makers* (:data:`SOFTWARE`) that really encode a picture here, H.264 first; tried and logged.

    FFmpeg is built without libx264 in places, for its licence: to ask is not enough.
    """
    working: dict[VideoCodec, MakeEncoder] = {}
    for codec, make in (SOFTWARE if makers is None else makers).items():
        try:
            name = _tried(make)
        except MediaError as error:
            log.warning("x video: no %s: %s", codec, error)
        else:
            log.info("- video: %s by %s", codec, name)
            working[codec] = make
    return working


def _tried(make: MakeEncoder) -> str:
    width, height = TRIAL_SIZE
    encoder = make(Shape(width, height, 30, TRIAL_BPS), TRIAL_BPS)
    try:
        picture = av.VideoFrame(width, height, "yuv420p")
        for plane in picture.planes:
            plane.update(bytes(plane.buffer_size))
        made = encoder.encode(picture, pts=0)
        if not made or not made[0].keyframe:
            raise MediaError(f"{encoder.name} gave no key frame for its first picture")
        return encoder.name
    finally:
        encoder.close()
