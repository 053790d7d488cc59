"""The media of the bed's calls: performs what the machines (``call.py``, one a call) want, and reports back.

Each call has a connection of its own (:mod:`kiosk.bedside.call_connection`). What they share is held here: the
devices, opened with the first call and let go with the last; the one picture, encoded once for all seats; and the
panel, which shows one seat (:mod:`kiosk.bedside.shown_seat`): what the others show is not even decoded. Runs on the
event loop's thread.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from kiosk.bedside import bed_events, media_effects
from kiosk.bedside.call_connection import CallConnection, Shared
from kiosk.bedside.call_timers import CallTimers
from kiosk.bedside.devices import Devices
from kiosk.bedside.ringer import Ringer
from kiosk.bedside.shown_seat import shown_seat
from kiosk.bedside.watchers import Watchers
from kiosk.hardware.camera import Rotation
from kiosk.media.call_devices import CallDevices, DeviceEvent, DeviceFault
from kiosk.media.camera_encoding import working_encoder
from kiosk.media.encoders import working_makers
from kiosk.media.heap import trim_heap
from kiosk.media.picture_shape import left_to_turn
from kiosk.media.relays import Relays
from kiosk.media.video_source import VideoSource
from kiosk.settings import Video
from kiosk.signaling.messages import CallType

log = logging.getLogger(__name__)

LOOK_EVERY_S = 1.0
"""How often it is looked who of several shows pictures."""
TRIM_EVERY_S = 60.0
"""A video call's heap grows by some 2 MB a minute that are free (``kiosk bench leaks``)."""
CLOSE_TIMEOUT_S = 5.0
"""For ending a call's media when the service stops."""


class CallMedia:
    """The media connections by call id. *report* takes what happens, at once and on the loop."""

    def __init__(
        self,
        devices: Devices,
        *,
        relays: Relays,
        relay_only: bool = False,
        video: Video,
        watchers: Watchers,
        report: Callable[
            [bed_events.OfMedia | bed_events.DeviceChanged | bed_events.Measured | bed_events.PicturesShed], None
        ],
    ) -> None:
        self.devices = CallDevices(
            camera=devices.camera,
            microphone=devices.microphone,
            speaker=devices.speaker,
            tell=self._device_event,
            sound=devices.sound,
            took=watchers.took,
        )
        self._ringer = Ringer(self.devices, began=lambda: watchers.trace("ring"))
        self._ringing = ""
        self._watchers = watchers
        self._report = report
        self._video = video
        self._encoding_camera = working_encoder(devices.camera)
        self._makers = working_makers() if devices.camera is not None else {}
        turned: Rotation = devices.camera.turns if devices.camera is not None else 0
        self._rotation = left_to_turn(video.rotation, turned=turned)
        self._pictures: VideoSource | None = None
        self._calls: dict[str, CallConnection] = {}
        """In the order in which they began."""
        self._shown = ""
        self._looking: asyncio.TimerHandle | None = None
        self._shared = Shared(self.devices, relays, relay_only, watchers.trace, watchers.took, report, self._spawn)
        self._timers = CallTimers(report)
        self._trimming: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def close(self) -> None:
        """Close whatever media are open."""
        self._timers.stop_all()
        for call_id in [*self._calls, self._ringing]:
            self._close(call_id)
        self._spawn(self.devices.close())
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=CLOSE_TIMEOUT_S)

    def perform(self, effect: media_effects.ForMedia) -> None:
        """Do what a machine wants; what follows from it is reported."""
        match effect:
            case media_effects.StartRing():
                self._ringing = effect.call_id
                self._ringer.start()
            case media_effects.StopRing():
                self._stop_ring(effect.call_id)
            case media_effects.OpenMedia():
                self._open(effect.call_id, effect.call_type)
            case media_effects.CloseMedia():
                self._close(effect.call_id)
            case media_effects.StartTimer():
                self._timers.start(effect)
            case media_effects.StopTimer():
                self._timers.stop(effect.call_id)
            case _:
                call = self._calls.get(effect.call_id)
                if call is not None:
                    self._perform(call, effect)

    def _perform(self, call: CallConnection, effect: media_effects.ForConnection) -> None:
        match effect:
            case media_effects.RebuildMedia():
                call.connect(effect.connection)
            case media_effects.WatchMedia():
                call.watch(sends=effect.sends)
                self._trim_later()
            case media_effects.ApplyAnswer():
                call.do(lambda session: session.answer(effect.sdp))
            case media_effects.AddCandidate():
                call.do(lambda session: session.candidate(effect.candidate, effect.sdp_mid, effect.sdp_mline_index))
            case media_effects.OpenGate():
                if effect.call_type is CallType.AUDIO:
                    self._go_on_without_pictures(call)
                call.open_gate()
            case media_effects.StopVideo():
                self._go_on_without_pictures(call)

    def _open(self, call_id: str, call_type: CallType) -> None:
        self.devices.open(video=call_type is CallType.VIDEO)
        if call_type is CallType.VIDEO and self._pictures is None:
            self._pictures = VideoSource(
                fps=self._video.fps,
                rotation=self._rotation,
                makers=self._makers or None,
                camera=self._encoding_camera,
                took=self._watchers.took,
            )
        pictures = self._pictures if call_type is CallType.VIDEO else None
        self._calls[call_id] = CallConnection(self._shared, call_id, call_type, pictures=pictures)
        self._show_one()
        self._calls[call_id].connect(0)

    def _show_one(self) -> None:
        if self._looking is not None:
            self._looking.cancel()
            self._looking = None
        videos = {name: call for name, call in self._calls.items() if call.call_type is CallType.VIDEO}
        sending = [name for name, call in videos.items() if call.shows]
        self._shown = shown_seat(list(videos), sending=sending, before=self._shown)
        for name, call in self._calls.items():
            call.show(self._watchers.picture if name == self._shown else None)
        if len(videos) > 1:
            self._looking = asyncio.get_running_loop().call_later(LOOK_EVERY_S, self._show_one)

    def _go_on_without_pictures(self, call: CallConnection) -> None:
        call.switch_to_audio()
        self._show_one()
        if all(other.call_type is CallType.AUDIO for other in self._calls.values()):
            self.devices.let_camera_go()

    def _close(self, call_id: str) -> None:
        call = self._calls.pop(call_id, None)
        if call is not None:
            call.close()
            self._show_one()
        self._stop_ring(call_id)
        if self._calls or self._ringing:
            return
        if self._trimming is not None:
            self._trimming.cancel()
        pictures, self._pictures = self._pictures, None
        if pictures is not None:
            self._spawn(pictures.close())
        self.devices.stop()

    def _stop_ring(self, call_id: str) -> None:
        if call_id == self._ringing:
            self._ringing = ""
            self._ringer.stop()

    def _trim_later(self) -> None:
        if self._trimming is not None:
            self._trimming.cancel()
        self._trimming = asyncio.get_running_loop().call_later(TRIM_EVERY_S, self._trim)

    def _trim(self) -> None:
        self._spawn(asyncio.to_thread(trim_heap))
        self._trim_later()

    def _device_event(self, event: DeviceEvent) -> None:
        if isinstance(event, DeviceFault):
            log.warning("x %s: %s", event.device, event.words)
            self._report(bed_events.DeviceChanged(event.device, event.words, event.kind))
        else:
            self._watchers.trace(f"opened {event.device}")
            self._report(bed_events.DeviceChanged(event.device))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
