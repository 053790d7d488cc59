"""The media of the bed's one call: performs what ``call.py`` wants of ring, connection and timer, and reports back.

Runs on the event loop's thread. What the media say and what the timer says become events of the machine.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from typing import Any

from kiosk.bedside import bed_events, call_events
from kiosk.bedside.call_quality import QualityWatch
from kiosk.bedside.devices import Devices
from kiosk.bedside.ringer import Ringer
from kiosk.bedside.watchers import Watchers
from kiosk.errors import KioskError
from kiosk.media.call_devices import CallDevices, DeviceEvent, DeviceFault
from kiosk.media.encoders import working_makers
from kiosk.media.heap import trim_heap
from kiosk.media.relays import Relays
from kiosk.media.session import (
    MediaConnected,
    MediaEvent,
    MediaFailed,
    MediaSession,
    MediaStalled,
    PicturesShed,
    RemoteAudioStarted,
    RemoteVideoStarted,
    SpokenBothWays,
)
from kiosk.media.video_source import VideoSource
from kiosk.settings import Video
from kiosk.signaling.messages import CallType

log = logging.getLogger(__name__)

_Act = Callable[[MediaSession], Coroutine[Any, Any, None]]

TRIM_EVERY_S = 60.0
"""A video call's heap grows by some 2 MB a minute that are free (``kiosk bench leaks``)."""
CLOSE_TIMEOUT_S = 5.0
"""For ending a call's media when the service stops."""


class CallMedia:
    """At most one media connection at a time. *report* takes what happens, at once and on the loop."""

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
        )
        self._ringer = Ringer(self.devices, began=lambda: watchers.trace("ring"))
        self._relays, self._relay_only = relays, relay_only
        self._watchers = watchers
        self._report = report
        self._video = video
        self._makers = working_makers() if devices.camera is not None else {}
        self._pictures: VideoSource | None = None
        self._session: MediaSession | None = None
        self._quality = QualityWatch(lambda: self._session, report=lambda told: report(bed_events.Measured(told)))
        self._connection = 0
        self._timer: asyncio.TimerHandle | None = None
        self._trimming: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def close(self) -> None:
        """Close whatever media are open."""
        self._stop_timer()
        self._close_media()
        self._spawn(self.devices.close())
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=CLOSE_TIMEOUT_S)

    def perform(self, effect: bed_events.ForMedia) -> None:
        """Do what the machine wants; what follows from it is reported."""
        match effect:
            case call_events.StartRing():
                self._ringer.start()
            case call_events.StopRing():
                self._ringer.stop()
            case call_events.OpenMedia():
                self.devices.open(video=effect.call_type is CallType.VIDEO)
                if effect.call_type is CallType.VIDEO:
                    self._pictures = self._make_pictures()
                self._connect(effect.call_id, effect.call_type, connection=0)
            case call_events.RebuildMedia():
                self._disconnect()
                self._connect(effect.call_id, effect.call_type, connection=effect.connection)
            case call_events.WatchMedia():
                if self._session is not None:
                    self._session.watch(peer_sends=effect.sends)
                    self._quality.start(self._session.log_id)
                    self._trim_later()
            case call_events.ApplyAnswer():
                self._with_session(lambda session: session.answer(effect.sdp))
            case call_events.AddCandidate():
                self._with_session(
                    lambda session: session.candidate(effect.candidate, effect.sdp_mid, effect.sdp_mline_index)
                )
            case call_events.OpenGate():
                self._open_gate(effect.call_type)
            case call_events.StopVideo():
                self._go_on_without_pictures()
            case call_events.CloseMedia():
                self._close_media()
            case call_events.StartTimer():
                self._start_timer(effect)
            case call_events.StopTimer():
                self._stop_timer()

    def _connect(self, call_id: str, call_type: CallType, *, connection: int) -> None:
        session = MediaSession(
            call_type=call_type,
            devices=self.devices,
            ice_servers=self._relays.for_a_call(),
            relay_only=self._relay_only,
            on_event=lambda event: self._media_event(call_id, connection, event),
            log_id=call_id,
            picture=self._watchers.picture,
            pictures=self._pictures,
        )
        self._session, self._connection = session, connection
        self._spawn(self._offer(session, call_id, connection))

    def _make_pictures(self) -> VideoSource:
        return VideoSource(fps=self._video.fps, rotation=self._video.rotation, makers=self._makers or None)

    def _disconnect(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            self._spawn(_end(session))

    async def _offer(self, session: MediaSession, call_id: str, connection: int) -> None:
        try:
            sdp = await session.offer()
        except KioskError as error:
            self._report(call_events.MediaDown(call_id, str(error), time.monotonic(), connection))
        else:
            self._watchers.trace("offered", call_id)
            self._report(call_events.Offered(call_id, sdp, connection))

    def _with_session(self, act: _Act) -> None:
        if self._session is not None:
            self._spawn(self._acting(self._session, act))

    async def _acting(self, session: MediaSession, act: _Act) -> None:
        try:
            await act(session)
        except KioskError as error:
            log.warning("x call %s: %s", session.log_id, error)
            if session is self._session and not session.connected:
                down = call_events.MediaDown(session.log_id, str(error), time.monotonic(), self._connection)
                self._report(down)

    def _open_gate(self, call_type: CallType) -> None:
        if self._session is None:
            return
        if call_type is CallType.AUDIO:
            self._go_on_without_pictures()
        self._session.open_gate()
        self._watchers.trace("gate", self._session.log_id)

    def _go_on_without_pictures(self) -> None:
        if self._session is not None:
            self._session.switch_to_audio()
        self.devices.let_camera_go()

    def _close_media(self) -> None:
        self._quality.stop()
        if self._trimming is not None:
            self._trimming.cancel()
        self._ringer.stop()
        self._disconnect()
        pictures, self._pictures = self._pictures, None
        if pictures is not None:
            self._spawn(pictures.close())
        self.devices.stop()

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
            self._report(bed_events.DeviceChanged(event.device, event.words))
        else:
            self._watchers.trace(f"opened {event.device}")
            self._report(bed_events.DeviceChanged(event.device))

    def _media_event(self, call_id: str, connection: int, event: MediaEvent) -> None:
        match event:
            case MediaConnected():
                self._watchers.trace("media_connected", call_id)
                self._report(call_events.MediaUp(call_id, time.monotonic(), connection))
            case MediaFailed():
                self._relays.doubt()
                self._report(call_events.MediaDown(call_id, event.why, time.monotonic(), connection))
            case MediaStalled():
                self._relays.doubt()
                self._report(call_events.MediaStalled(call_id, event.why, time.monotonic(), connection))
            case SpokenBothWays():
                self._report(call_events.Spoken(call_id))
            case PicturesShed():
                self._report(bed_events.PicturesShed(call_id, event.shed))
            case RemoteAudioStarted():
                self._watchers.trace("first_audio", call_id)
            case RemoteVideoStarted():
                self._watchers.trace("first_video", call_id)

    def _start_timer(self, effect: call_events.StartTimer) -> None:
        self._stop_timer()

        def ran_out() -> None:
            self._report(call_events.TimedOut(effect.call_id, effect.timer, time.monotonic()))

        self._timer = asyncio.get_running_loop().call_later(effect.seconds, ran_out)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _end(session: MediaSession) -> None:
    await session.close()
    await asyncio.to_thread(trim_heap)
