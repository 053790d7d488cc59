"""The Pi's own camera, through picamera2: frames, and pictures of the Pi's H.264 encoder.

One thread does all that is done with the open camera, so that picamera2 is never asked two things at once; only
closing comes from outside. It is asked with a time-out each time: where the ribbon slips out, libcamera answers no
more, and says nothing.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass, replace
from typing import Any

import av

from kiosk.errors import HardwareFault
from kiosk.hardware.camera import Coding, CodingCamera, OnCoded, OnFault, OnFrame, Rotation
from kiosk.hardware.picamera2_encoder import FAULTS, Picamera2Encoder, abandon, new_encoder, tap
from kiosk.hardware.picamera2_library import Library
from kiosk.hardware.worker import Worker

log = logging.getLogger(__name__)

BUFFERS = 4
"""picamera2's own advice for video: fewer drop frames, more add delay."""
ENCODING_BUFFERS = 6
"""picamera2's default for video: its encoder holds some, and gives them back when it has read them."""
FIRST_ANSWER_S = 4.0
"""For the first picture after a start: sensor, exposure and white balance have to settle."""
ANSWER_S = 1.5
"""For the next one."""
LOOK_S = 0.25
"""How long the thread sleeps while it has nothing to fetch."""
TRIAL_BPS = 300_000


def has_pi_camera() -> bool:
    """Whether libcamera sees a camera. Raises :exc:`HardwareFault` where picamera2 is missing."""
    return bool(Library().camera.global_camera_info())


@dataclass(frozen=True)
class _Asked:
    """What is wanted of the camera."""

    frames: bool = True
    coding: Coding | None = None
    on_coded: OnCoded = lambda coded: None
    on_fault: OnFault = lambda why: None


class Picamera2Camera(CodingCamera):
    """The first camera libcamera knows. *rotation* by 180 degrees is the sensor's, another one the caller's."""

    def __init__(
        self, *, width: int, height: int, fps: int, rotation: Rotation = 0, library: Library | None = None
    ) -> None:
        self._library = library if library is not None else Library()
        self.name = self._library.name
        self.size = (width, height)
        self.turns = 180 if rotation == 180 else 0
        self._wanted_size = self.size
        self._upright = rotation in (0, 180)
        self._fps = fps
        self._encodes = False
        self._camera: Any = None
        self._worker: Worker | None = None
        self._changed = threading.Condition()
        self._asked = _Asked()
        self._wants_keyframe = False

    # -- on any thread

    def try_encoder(self) -> str:
        """See :class:`~kiosk.hardware.camera.CodingCamera`."""
        if not self._upright:
            raise HardwareFault("the picture is turned on its side, which the camera cannot do before it encodes")
        encoder = new_encoder(self._library, bps=TRIAL_BPS, fps=self._fps)
        try:
            encoder.size, encoder.stride, encoder.format = self.size, self.size[0], "YUV420"
            encoder.output = tap(self._library, lambda data, keyframe, timestamp_us: None)
            encoder.start()
            encoder.stop()
        except FAULTS as error:
            abandon(encoder)
            raise HardwareFault(f"the camera's H.264 encoder cannot be started: {error}") from None
        self._encodes = True
        return f"{self.name}'s hardware encoder"

    def code(self, coding: Coding | None, on_coded: OnCoded, on_fault: OnFault) -> None:
        """See :class:`~kiosk.hardware.camera.CodingCamera`."""
        with self._changed:
            self._asked = replace(self._asked, coding=coding, on_coded=on_coded, on_fault=on_fault)
            self._changed.notify_all()

    def request_keyframe(self) -> None:
        """See :class:`~kiosk.hardware.camera.CodingCamera`."""
        with self._changed:
            self._wants_keyframe = True
            self._changed.notify_all()

    def want_frames(self, wanted: bool) -> None:
        """See :class:`~kiosk.hardware.camera.CodingCamera`."""
        with self._changed:
            self._asked = replace(self._asked, frames=wanted)
            self._changed.notify_all()

    def open(self, on_frame: OnFrame, on_fault: OnFault) -> None:
        """Start capturing. Raises :exc:`HardwareFault`."""
        self.close()
        make, configuration = self._library.camera, self._configuration()
        camera: Any = None
        try:
            camera = make()
            wanted = camera.create_video_configuration(**configuration)
            # Rows are padded unless the width suits the ISP; the aligned size has no padding.
            camera.align_configuration(wanted)
            camera.configure(wanted)
            camera.start()
        except FAULTS as error:
            if camera is not None:
                self._let_go(camera)  # libcamera would keep it acquired, and the next opening would fail for that
            raise HardwareFault(f"camera {self.name}: cannot be opened: {error} (is the ribbon in?)") from None
        self.size = wanted["main"]["size"]
        self._camera = camera
        worker = Worker(f"camera {self.name}", lambda: self._run(camera, worker, on_frame, on_fault))
        self._worker = worker
        worker.start()

    def close(self) -> None:
        """Stop capturing and let libcamera go."""
        worker, self._worker = self._worker, None
        camera, self._camera = self._camera, None
        if worker is not None:
            worker.stopping.set()
            camera.cancel_all_and_flush()  # the thread may wait for a picture of a camera that gives none
            with self._changed:
                self._changed.notify_all()
            worker.stop()
        if camera is not None:
            self._let_go(camera)

    def _configuration(self) -> dict[str, Any]:
        width, height = self._wanted_size
        wanted: dict[str, Any] = {
            "main": {"size": (width, height), "format": "YUV420"},
            "controls": {"FrameRate": float(self._fps)},
            "buffer_count": ENCODING_BUFFERS if self._encodes else BUFFERS,
        }
        if self._encodes:
            wanted["lores"] = {"size": (width // 4 * 2, height // 4 * 2), "format": "YUV420"}
        if self.turns:
            wanted["transform"] = self._library.transform(hflip=1, vflip=1)
        return wanted

    def _let_go(self, camera: Any) -> None:
        try:
            # It ends picamera2's own thread before it stops the camera: that one may have died of an error, and
            # stop() alone would wait for it for ever.
            camera.close()
        except FAULTS as error:
            log.warning("x camera %s does not close: %s", self.name, error)

    # -- on the camera's thread

    def _run(self, camera: Any, worker: Worker, on_frame: OnFrame, on_fault: OnFault) -> None:
        encoder = Picamera2Encoder(self._library, camera, fps=self._fps)
        try:
            camera.capture_metadata(wait=FIRST_ANSWER_S)  # an encoder is not to blame for what the sensor takes
            while not worker.stopping.is_set():
                asked = self._asked
                self._encode(camera, encoder, asked)
                if asked.frames:
                    # One array of height * 3/2 rows: Y above, then U and V.
                    array = camera.capture_array("main", wait=ANSWER_S)
                    on_frame(av.VideoFrame.from_ndarray(array, format="yuv420p"))
                else:
                    if encoder.silent:
                        camera.capture_metadata(wait=ANSWER_S)  # is it still there?
                    self._sleep(asked, worker)
        except FAULTS as error:
            if not worker.stopping.is_set():
                on_fault(f"camera {self.name} stopped: {_said(error)} (is the ribbon in?)")
        finally:
            encoder.stop()

    def _encode(self, camera: Any, encoder: Picamera2Encoder, asked: _Asked) -> None:
        with self._changed:
            wants_keyframe, self._wants_keyframe = self._wants_keyframe, False
        if asked.coding is None:
            encoder.stop()
            return
        try:
            encoder.follow(asked.coding, asked.on_coded)
            if wants_keyframe:
                encoder.request_keyframe()
            encoder.must_not_owe()
        except FAULTS as error:
            encoder.stop()
            camera.capture_metadata(wait=ANSWER_S)  # without a camera no encoder is to blame
            with self._changed:
                if self._asked.coding == asked.coding:
                    self._asked = replace(self._asked, coding=None)
            asked.on_fault(f"the encoder of camera {self.name} stopped: {_said(error)}")

    def _sleep(self, asked: _Asked, worker: Worker) -> None:
        with self._changed:
            self._changed.wait_for(
                lambda: self._asked is not asked or self._wants_keyframe or worker.stopping.is_set(), LOOK_S
            )


def _said(error: BaseException) -> str:
    return str(error) or "no picture comes any more"
