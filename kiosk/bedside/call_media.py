"""The media of the bed's one call: performs what ``call.py`` wants of connection and timer, and reports back.

Runs on the event loop's thread. What the media say and what the timer says become events of the machine.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from typing import Any

from kiosk.bedside import bed_events, call_events
from kiosk.bedside.devices import Devices
from kiosk.bedside.watchers import Watchers
from kiosk.errors import KioskError
from kiosk.media.session import (
    DeviceFault,
    DeviceOpened,
    MediaConnected,
    MediaEvent,
    MediaFailed,
    MediaSession,
    RemoteAudioStarted,
    RemoteVideoStarted,
    SpokenBothWays,
)
from kiosk.signaling.messages import CallType

log = logging.getLogger(__name__)

_Act = Callable[[MediaSession], Coroutine[Any, Any, None]]

CLOSE_TIMEOUT_S = 5.0
"""For ending a call's media when the service stops."""


class CallMedia:
    """At most one media session at a time. *report* takes what happens, at once and on the loop."""

    def __init__(
        self,
        devices: Devices,
        *,
        ice_servers: tuple[str, ...],
        watchers: Watchers,
        report: Callable[[bed_events.OfMedia | bed_events.DeviceChanged], None],
    ) -> None:
        self._devices = devices
        self._ice_servers = ice_servers
        self._watchers = watchers
        self._report = report
        self._session: MediaSession | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def close(self) -> None:
        """Close whatever media are open."""
        self._stop_timer()
        self._close_media()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=CLOSE_TIMEOUT_S)

    def perform(self, effect: bed_events.ForMedia) -> None:
        """Do what the machine wants; what follows from it is reported."""
        match effect:
            case call_events.OpenMedia():
                self._open_media(effect)
            case call_events.ApplyAnswer():
                self._with_session(lambda session: session.answer(effect.sdp))
            case call_events.AddCandidate():
                self._with_session(
                    lambda session: session.candidate(effect.candidate, effect.sdp_mid, effect.sdp_mline_index)
                )
            case call_events.OpenGate():
                self._open_gate(effect.call_type)
            case call_events.StopVideo():
                if self._session is not None:
                    self._session.switch_to_audio()
            case call_events.CloseMedia():
                self._close_media()
            case call_events.StartTimer():
                self._start_timer(effect)
            case call_events.StopTimer():
                self._stop_timer()

    def _open_media(self, effect: call_events.OpenMedia) -> None:
        session = MediaSession(
            call_type=effect.call_type,
            camera=self._devices.camera,
            microphone=self._devices.microphone,
            speaker=self._devices.speaker,
            ice_servers=self._ice_servers,
            on_event=lambda event: self._media_event(effect.call_id, event),
            log_id=effect.call_id,
            picture=self._watchers.picture,
        )
        self._session = session
        self._spawn(self._offer(session, effect.call_id))

    async def _offer(self, session: MediaSession, call_id: str) -> None:
        try:
            sdp = await session.offer()
        except KioskError as error:
            self._report(call_events.MediaDown(call_id, str(error), time.monotonic()))
        else:
            self._watchers.trace("offered", call_id)
            self._report(call_events.Offered(call_id, sdp))

    def _with_session(self, act: _Act) -> None:
        if self._session is not None:
            self._spawn(self._acting(self._session, act))

    async def _acting(self, session: MediaSession, act: _Act) -> None:
        try:
            await act(session)
        except KioskError as error:
            log.warning("x call %s: %s", session.log_id, error)
            if session is self._session and not session.connected:
                self._report(call_events.MediaDown(session.log_id, str(error), time.monotonic()))

    def _open_gate(self, call_type: CallType) -> None:
        if self._session is None:
            return
        if call_type is CallType.AUDIO:
            self._session.switch_to_audio()
        self._session.open_gate()

    def _close_media(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            self._spawn(session.close())

    def _media_event(self, call_id: str, event: MediaEvent) -> None:
        match event:
            case MediaConnected():
                self._watchers.trace("media_connected", call_id)
                self._report(call_events.MediaUp(call_id, time.monotonic()))
            case MediaFailed():
                self._report(call_events.MediaDown(call_id, event.why, time.monotonic()))
            case SpokenBothWays():
                self._report(call_events.Spoken(call_id))
            case RemoteAudioStarted():
                self._watchers.trace("first_audio", call_id)
            case RemoteVideoStarted():
                self._watchers.trace("first_video", call_id)
            case DeviceFault():
                log.warning("x %s: %s", event.device, event.words)
                self._report(bed_events.DeviceChanged(event.device, event.words))
            case DeviceOpened():
                self._report(bed_events.DeviceChanged(event.device))

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
