"""Encodes the bed's picture here: a thread per codec, fed from a slot that holds the newest picture.

Whoever is late leaves pictures out; none waits for another.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

import av

from kiosk.errors import MediaError
from kiosk.hardware.camera import Rotation
from kiosk.hardware.worker import Worker
from kiosk.media.encoders import CLOCK, KEYFRAME_GAP_S, Encoded, Encoder, MakeEncoder, Shape, VideoCodec
from kiosk.media.picture_shape import Turning, scaled
from kiosk.media.rate_control import Picture, Target

log = logging.getLogger(__name__)

SLOT_WAIT_S = 0.5
"""How long an encoding thread waits before it looks whether it is still wanted."""
STALE_S = 1.0
"""An older picture is none: who joins must not see yesterday's patient."""
MAX_FAILURES = 10
"""Pictures in a row that an encoder may fail on before the thread gives up."""


class Slot:
    """The newest picture, with the time it was taken. Any thread."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self.marking = threading.Lock()
        """Held while encoding: an encoder writes what it wants into the picture, and two codecs may share one."""
        self._frame: av.VideoFrame | None = None
        self._pts = 0
        self._number = 0
        self._woken = 0

    def put(self, frame: av.VideoFrame) -> None:
        """Replace what is there."""
        with self._changed:
            self._frame, self._pts = frame, round(time.monotonic() * CLOCK)
            self._number += 1
            self._changed.notify_all()

    def wake(self) -> None:
        """Let who waits look again."""
        with self._changed:
            self._woken += 1
            self._changed.notify_all()

    def newer(self, than: int) -> tuple[int, av.VideoFrame, int] | None:
        """The picture after number *than*: number, itself, pts. None: none came in time, or :meth:`wake`."""
        with self._changed:
            woken = self._woken
            self._changed.wait_for(lambda: self._fresh(than) or self._woken != woken, SLOT_WAIT_S)
            if not self._fresh(than) or self._frame is None:
                return None
            return self._number, self._frame, self._pts

    def _fresh(self, than: int) -> bool:
        return self._number > than and time.monotonic() - self._pts / CLOCK <= STALE_S


class EncodingThread:
    """One codec's thread, from its making to :meth:`stop`."""

    def __init__(
        self,
        codec: VideoCodec,
        make: MakeEncoder,
        slot: Slot,
        target: Target,
        *,
        rotation: Rotation,
        max_bps: int,
        made: Callable[[EncodingThread, Encoded], None],
        sized: Callable[[int, int], None],
    ) -> None:
        self.codec = codec
        self.target = target
        """Written on the loop, read on the thread: one reference, so whole at any time."""
        self._make = make
        self._slot = slot
        self._rotation = rotation
        self._max_bps = max_bps
        self._made, self._sized = made, sized
        self._wants_keyframe = threading.Event()
        self._keyframe_at = float("-inf")
        self._done = threading.Event()
        self._worker = Worker(f"video {codec}", self._run)
        self._worker.start()

    def request_keyframe(self, *, urgent: bool = False) -> None:
        """Soon; *urgent*: with the next picture. Any thread."""
        if urgent:
            self._keyframe_at = float("-inf")
        self._wants_keyframe.set()

    def stop(self) -> None:
        """End, soon. Does not wait."""
        self._worker.stopping.set()
        self._slot.wake()

    def ended(self) -> None:
        """Wait until the thread has ended."""
        self._worker.stop()

    @property
    def running(self) -> bool:
        """Whether the thread still runs."""
        return not self._done.is_set()

    def _run(self) -> None:
        encoder: Encoder | None = None
        turning = Turning(self._rotation)
        seen, failures, due, size = 0, 0, 0.0, (0, 0)
        try:
            while not self._worker.stopping.is_set():
                found = self._slot.newer(seen)
                if found is None:
                    continue
                seen, frame, pts = found
                target = self.target
                if pts / CLOCK < due:
                    continue
                # Half a picture's time early is in time: a camera's clock jitters.
                due = max(due + 1 / target.fps, pts / CLOCK + 0.5 / target.fps)
                try:
                    turned = turning.turned(frame)
                    if (turned.width, turned.height) != size:
                        size = (turned.width, turned.height)
                        self._sized(*size)
                    picture = scaled(turned, target.scale)
                    encoder = self._encoder_for(encoder, picture, target)
                    with self._slot.marking:
                        made = encoder.encode(picture, pts=pts)
                    for encoded in made:
                        self._made(self, encoded)
                    failures = 0
                except MediaError as error:
                    failures += 1
                    log.warning("x video: %s", error)
                    encoder = None
                    if failures >= MAX_FAILURES:
                        log.error("x video: no pictures any more after %d failures", failures)
                        return
        finally:
            self._done.set()
            if encoder is not None:
                encoder.close()

    def _encoder_for(self, encoder: Encoder | None, picture: av.VideoFrame, target: Target) -> Encoder:
        most = max(self._max_bps, Picture(picture.width, picture.height, target.fps).max_bps)
        shape = Shape(picture.width, picture.height, target.fps, most)
        if encoder is None or encoder.shape != shape:
            if encoder is not None:
                encoder.close()
            encoder = self._make(shape, target.bps)
            self._keyframe_at = time.monotonic()
            self._wants_keyframe.clear()
        encoder.set_bit_rate(target.bps)
        if self._wants_keyframe.is_set() and time.monotonic() - self._keyframe_at >= KEYFRAME_GAP_S:
            self._wants_keyframe.clear()
            self._keyframe_at = time.monotonic()
            encoder.request_keyframe()
        return encoder
