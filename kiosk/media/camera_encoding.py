"""The bed's picture as the camera's own encoder makes it: nothing but packets passes through this process.

It takes the place of a thread of :mod:`kiosk.media.encoding_thread`. Pictures come on the camera's thread
and cross into the loop there; all else is called on the loop.

The encoder makes the whole picture or half of it, so that the rate control's 3/4 is half, too: fewer points with
the same bits are sharper. A key frame that was asked for and has not come after ``LATE_PICTURES`` costs the encoder
a new start, which begins with one; where none comes even so, it has failed.
"""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections.abc import Callable

from kiosk.errors import HardwareFault
from kiosk.hardware.camera import Camera, Coded, Coding, CodingCamera
from kiosk.media.encoders import CLOCK, KEYFRAME_GAP_S, Encoded, VideoCodec
from kiosk.media.h264 import Headers
from kiosk.media.rate_control import Target

log = logging.getLogger(__name__)

LATE_PICTURES = 15
"""Half a second: an encoder has two or three pictures on their way when it is asked."""
_runs = itertools.count(1)


def working_encoder(camera: Camera | None) -> CodingCamera | None:
    """*camera*, if it encodes by itself and its encoder can be started here; tried and logged."""
    if not isinstance(camera, CodingCamera):
        return None
    try:
        name = camera.try_encoder()
    except HardwareFault as fault:
        log.info("- video: not encoded by the camera: %s", fault)
        return None
    log.info("- video: H264 by %s", name)
    return camera


class CameraEncoding:
    """*camera*'s encoder at work, from its making to :meth:`stop`.

    *made* gets each picture and *sized* the size of the whole one, on the camera's thread; *failed* is called there
    at most once, with why.
    """

    codec: VideoCodec = "H264"

    def __init__(
        self,
        camera: CodingCamera,
        target: Target,
        *,
        fps: int,
        made: Callable[[CameraEncoding, Encoded], None],
        sized: Callable[[int, int], None],
        failed: Callable[[CameraEncoding, str], None],
    ) -> None:
        self._camera = camera
        self._fps = fps
        self._made, self._sized, self._failed = made, sized, failed
        self._changing = threading.Lock()
        self._target = target
        self._run = next(_runs)
        self._coding: Coding | None = None
        self._running = True
        self._size = (0, 0)
        self._headers = Headers()
        self._pts = 0
        self._wants_keyframe = False
        self._keyframe_at = time.monotonic()
        self._without: int | None = 0
        """Pictures since a key frame was asked for; None: it has come."""
        self._restarted = False
        self._code()

    @property
    def target(self) -> Target:
        """What is made."""
        return self._target

    @target.setter
    def target(self, target: Target) -> None:
        self._target = target
        self._code()

    @property
    def running(self) -> bool:
        """Whether it is at work."""
        return self._running

    def request_keyframe(self, *, urgent: bool = False) -> None:
        """Soon; *urgent*: with the next picture. Any thread."""
        if urgent:
            self._keyframe_at = float("-inf")
        self._wants_keyframe = True
        self._ask()

    def stop(self) -> None:
        """End, soon. Does not wait."""
        with self._changing:
            if self._running:
                self._running = False
                self._camera.code(None, lambda coded: None, lambda why: None)

    def ended(self) -> None:
        """There is no thread of ours to be waited for."""

    # -- any thread

    def _code(self) -> None:
        target = self._target
        coding = Coding(target.bps, target.scale < 1, max(1, round(self._fps / target.fps)), self._run)
        with self._changing:
            if self._running and coding != self._coding:
                if self._coding is not None and coding.half != self._coding.half:
                    self._headers = Headers()  # those of another size would spoil the picture
                self._coding = coding
                self._camera.code(coding, self._coded, self._stopped)

    def _ask(self) -> None:
        if self._wants_keyframe and time.monotonic() - self._keyframe_at >= KEYFRAME_GAP_S:
            self._wants_keyframe = False
            self._keyframe_at = time.monotonic()
            if self._without is None:
                self._without = 0
            self._camera.request_keyframe()

    # -- on the camera's thread

    def _coded(self, coded: Coded) -> None:
        if self._camera.size != self._size:
            self._size = self._camera.size
            self._sized(*self._size)
        self._pts = max(self._pts + 1, round(coded.taken_s * CLOCK))
        whole = self._headers.before(coded.data) if coded.keyframe else None
        if whole is not None:
            self._without, self._restarted = None, False
        elif self._without is not None:
            self._without += 1
            if self._without > LATE_PICTURES:
                self._begin_anew()
        self._made(self, Encoded(whole or coded.data, self._pts, whole is not None))
        self._ask()

    def _begin_anew(self) -> None:
        self._without = 0
        if self._restarted:
            self._stopped("the camera's encoder makes no key frames")
            return
        log.warning("x video: no key frame after %d pictures: the camera's encoder begins anew", LATE_PICTURES)
        self._restarted = True
        self._run = next(_runs)
        self._code()

    def _stopped(self, why: str) -> None:
        running = self._running
        self.stop()
        if running:
            self._failed(self, why)
