"""The bed's one picture for all its viewers: encoded once per codec, whatever their number.

The camera's thread leaves the newest picture in a slot (:meth:`VideoSource.deliver`); a thread per codec in use
(:mod:`kiosk.media.encoding_thread`) takes it, turns, scales and encodes it. It is packed there, too, and crosses
into the loop, where it is fanned out to the viewers' queues. Everything else runs on the loop's thread. Nobody
watches: nothing is encoded, and no thread runs.

A camera that encodes H.264 by itself is asked for that instead (:mod:`kiosk.media.camera_encoding`), and for frames
only while a seat needs VP8. Should its encoder fail, the thread takes over in the same call.

Who asks for a key frame gets it for all, but no sooner than ``KEYFRAME_GAP_S`` after the last: forty lost reports
must not become forty key frames. One that joins is served at once with the picture that lies in the slot.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol, get_args

import av

from kiosk.hardware.camera import CodingCamera, Rotation
from kiosk.media import rate_control
from kiosk.media.aiortc_private import packer
from kiosk.media.camera_encoding import CameraEncoding
from kiosk.media.encoders import CLOCK, SOFTWARE, Encoded, MakeEncoder, VideoCodec
from kiosk.media.encoding_thread import EncodingThread, Slot
from kiosk.media.rate_control import Picture, Report, Target
from kiosk.media.stages import Stage, Took, nobody

log = logging.getLogger(__name__)

TICK_S = 1.0
CODECS: tuple[VideoCodec, ...] = get_args(VideoCodec)
NOMINAL = Picture(640, 360, 30)
"""Until the first picture has come."""


class Viewer(Protocol):
    """Who watches. All of it is called on the loop."""

    def take(self, encoded: Encoded) -> bool:
        """Queue it; False: the queue is full or waits for a key frame, and one is wanted."""

    def show(self, shown: bool) -> None:
        """The viewer gets pictures, or sound alone from now on."""


class VideoSource:
    """The one picture. Made, watched and closed on the loop; *rotation* turns it clockwise.

    *camera*: one whose encoder works makes the H.264. Its pictures are the way up that they are to be.
    """

    def __init__(
        self,
        *,
        fps: int = 30,
        rotation: Rotation = 0,
        makers: dict[VideoCodec, MakeEncoder] | None = None,
        camera: CodingCamera | None = None,
        took: Took = nobody,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._rotation = rotation
        self._makers = SOFTWARE if makers is None else makers
        self._fps = fps
        self._took = took
        width, height = (NOMINAL.width, NOMINAL.height) if camera is None else camera.size
        self._control = rate_control.begin(Picture(width, height, fps))
        self._target: Target | None = None
        self._pack = {codec: packer(codec) for codec in CODECS}
        self._viewers: dict[int, tuple[Viewer, VideoCodec]] = {}
        self._shown: dict[int, bool] = {}
        self._next_viewer = 0
        self._camera = camera
        self._camera_encodes = camera is not None
        self._encodings: dict[VideoCodec, EncodingThread | CameraEncoding] = {}
        self._ending: list[EncodingThread | CameraEncoding] = []
        self._slot = Slot()
        self._ticking: asyncio.TimerHandle | None = None
        self._closed = False
        self._want_frames()

    def deliver(self, frame: av.VideoFrame) -> None:
        """Take the newest picture. Any thread."""
        self._slot.put(frame)

    @property
    def codecs(self) -> tuple[VideoCodec, ...]:
        """What can be made, what is liked best first."""
        return tuple(dict.fromkeys((*(("H264",) if self._camera_encodes else ()), *self._makers)))

    @property
    def target(self) -> Target | None:
        """What is encoded now; None: nothing."""
        return self._target

    def join(self, viewer: Viewer, codec: VideoCodec) -> int:
        """*viewer* watches from now on, beginning with a key frame. Returns its number."""
        number = self._next_viewer
        self._next_viewer += 1
        self._viewers[number] = (viewer, codec)
        self._control_is(rate_control.joined(self._control, number, time.monotonic()))
        if codec in self._encodings:
            self._encodings[codec].request_keyframe(urgent=True)
        self._tick()
        return number

    def leave(self, number: int) -> None:
        """The viewer watches no more. May be called twice."""
        if self._viewers.pop(number, None) is not None:
            self._shown.pop(number, None)
            self._control_is(rate_control.left(self._control, number, time.monotonic()))

    def request_keyframe(self, number: int) -> None:
        """The viewer's decoder lacks a picture (PLI, FIR)."""
        if number in self._viewers:
            encoding = self._encodings.get(self._viewers[number][1])
            if encoding is not None:
                encoding.request_keyframe()

    def report(self, number: int, report: Report) -> None:
        """The viewer has told of its path."""
        self._control_is(rate_control.reported(self._control, number, report, time.monotonic()))

    async def close(self) -> None:
        """Nobody watches any more. Waits for the threads. May be called twice."""
        self._closed = True
        for number in list(self._viewers):
            self.leave(number)
        if self._ticking is not None:
            self._ticking.cancel()
            self._ticking = None
        if self._camera is not None:
            self._camera.want_frames(True)  # whoever has it next expects what any camera gives
        ending, self._ending = self._ending, []
        for encoding in ending:
            await asyncio.to_thread(encoding.ended)

    # -- on the loop

    def _tick(self) -> None:
        if self._ticking is None and self._viewers and not self._closed:
            self._ticking = self._loop.call_later(TICK_S, self._ticked)

    def _ticked(self) -> None:
        self._ticking = None
        self._control_is(rate_control.ticked(self._control, time.monotonic()))
        self._tick()

    def _control_is(self, control: rate_control.Control) -> None:
        before, self._control = self._target, control
        target = self._target = control.target  # asked for with each packet that is paced
        if target is not None and (before is None or (before.scale, before.fps) != (target.scale, target.fps)):
            log.info("- video: %d kb/s, %g of the size, %d fps", target.bps // 1000, target.scale, target.fps)
        self._aim(target)
        for number, (viewer, _) in list(self._viewers.items()):
            shown = control.shows(number)
            if self._shown.get(number, True) is not shown:
                log.warning("- video: viewer %d gets %s", number, "pictures again" if shown else "sound alone")
                viewer.show(shown)
            self._shown[number] = shown

    def _aim(self, target: Target | None) -> None:
        wanted = {codec for number, (_, codec) in self._viewers.items() if self._control.shows(number)}
        for codec in [codec for codec in self._encodings if codec not in wanted]:
            encoding = self._encodings.pop(codec)
            encoding.stop()
            self._ending = [one for one in self._ending if one.running] + [encoding]
        if target is not None:
            for codec in sorted(wanted):
                if codec not in self._encodings:
                    self._begin(codec, target)
                else:
                    self._encodings[codec].target = target
        self._want_frames()

    def _begin(self, codec: VideoCodec, target: Target) -> None:
        if codec == "H264" and self._camera is not None and self._camera_encodes:
            self._encodings[codec] = CameraEncoding(
                self._camera, target, fps=self._fps, made=self._cross, sized=self._sized, failed=self._camera_failed
            )
        elif codec in self._makers:
            self._encodings[codec] = EncodingThread(
                codec,
                self._makers[codec],
                self._slot,
                target,
                rotation=self._rotation,
                max_bps=self._control.picture.max_bps,
                made=self._cross,
                sized=self._sized,
            )

    def _want_frames(self) -> None:
        if self._camera is not None and not self._closed:
            self._camera.want_frames(any(isinstance(one, EncodingThread) for one in self._encodings.values()))

    def _camera_failed(self, encoding: CameraEncoding, why: str) -> None:
        """The camera's encoder is no more: for the rest of this call we encode ourselves."""

        def take_over() -> None:
            log.warning("x video: %s: H264 by %s from now on", why, "us" if "H264" in self._makers else "nobody")
            self._camera_encodes = False
            if self._encodings.get("H264") is encoding:
                del self._encodings["H264"]
                self._aim(self._target)

        self._call(take_over)

    def _sized(self, width: int, height: int) -> None:
        """An encoding thread has seen another size."""
        picture = Picture(width, height, self._fps)

        def resize() -> None:
            if picture != self._control.picture:
                self._control_is(rate_control.resized(self._control, picture, time.monotonic()))

        self._call(resize)

    def _cross(self, encoding: EncodingThread | CameraEncoding, encoded: Encoded) -> None:
        packed = replace(encoded, payloads=self._pack[encoding.codec](encoded.data))
        self._took(Stage.PICTURE_ENCODED, time.monotonic() - encoded.pts / CLOCK)
        self._call(lambda: self._fan_out(encoding, packed))

    def _call(self, act: Callable[[], None]) -> None:
        try:
            self._loop.call_soon_threadsafe(act)
        except RuntimeError:
            return  # the loop is closed: nobody watches any more

    def _fan_out(self, encoding: EncodingThread | CameraEncoding, encoded: Encoded) -> None:
        if self._encodings.get(encoding.codec) is not encoding:
            return
        for number, (viewer, codec) in self._viewers.items():
            if codec == encoding.codec and self._control.shows(number) and not viewer.take(encoded):
                encoding.request_keyframe()
