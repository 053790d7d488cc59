"""The bed's one picture for all its viewers: encoded once per codec, whatever their number.

The camera's thread leaves the newest picture in a slot (:meth:`VideoSource.deliver`); a thread per codec in use
takes it, turns, scales, encodes and packs it, and crosses into the loop; there it is fanned out to the viewers'
queues.
Everything else runs on the loop's thread. Nobody watches: nothing is encoded, and no thread runs.

A camera that encodes H.264 by itself is asked for that instead (:mod:`kiosk.media.camera_encoding`), and for frames
only while a seat needs VP8. Should its encoder fail, the thread takes over in the same call.

Who asks for a key frame gets it for all, but no sooner than ``KEYFRAME_GAP_S`` after the last: forty lost reports
must not become forty key frames. One that joins is served at once with the picture that lies in the slot.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol, get_args

import av

from kiosk.errors import MediaError
from kiosk.hardware.camera import CodingCamera, Rotation
from kiosk.hardware.worker import Worker
from kiosk.media import rate_control
from kiosk.media.aiortc_private import packer
from kiosk.media.camera_encoding import CameraEncoding
from kiosk.media.encoders import (
    CLOCK,
    KEYFRAME_GAP_S,
    SOFTWARE,
    Encoded,
    Encoder,
    MakeEncoder,
    Shape,
    VideoCodec,
)
from kiosk.media.picture_shape import Turning, scaled
from kiosk.media.rate_control import Picture, Report, Target
from kiosk.media.stages import Stage, Took, nobody

log = logging.getLogger(__name__)

TICK_S = 1.0
SLOT_WAIT_S = 0.5
"""How long an encoding thread waits before it looks whether it is still wanted."""
STALE_S = 1.0
"""An older picture is none: who joins must not see yesterday's patient."""
CODECS: tuple[VideoCodec, ...] = get_args(VideoCodec)
MAX_FAILURES = 10
"""Pictures in a row that an encoder may fail on before the thread gives up."""
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
        self._encodings: dict[VideoCodec, _Encoding | CameraEncoding] = {}
        self._ending: list[_Encoding | CameraEncoding] = []
        self._slot = _Slot()
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
            self._encodings[codec] = _Encoding(
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
            self._camera.want_frames(any(isinstance(one, _Encoding) for one in self._encodings.values()))

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

    def _cross(self, encoding: _Encoding | CameraEncoding, encoded: Encoded) -> None:
        packed = replace(encoded, payloads=self._pack[encoding.codec](encoded.data))
        self._took(Stage.PICTURE_ENCODED, time.monotonic() - encoded.pts / CLOCK)
        self._call(lambda: self._fan_out(encoding, packed))

    def _call(self, act: Callable[[], None]) -> None:
        try:
            self._loop.call_soon_threadsafe(act)
        except RuntimeError:
            return  # the loop is closed: nobody watches any more

    def _fan_out(self, encoding: _Encoding | CameraEncoding, encoded: Encoded) -> None:
        if self._encodings.get(encoding.codec) is not encoding:
            return
        for number, (viewer, codec) in self._viewers.items():
            if codec == encoding.codec and self._control.shows(number) and not viewer.take(encoded):
                encoding.request_keyframe()


class _Slot:
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


class _Encoding:
    """One codec's thread, from its making to :meth:`stop`."""

    def __init__(
        self,
        codec: VideoCodec,
        make: MakeEncoder,
        slot: _Slot,
        target: Target,
        *,
        rotation: Rotation,
        max_bps: int,
        made: Callable[[_Encoding, Encoded], None],
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
