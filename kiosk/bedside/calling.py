"""Performs the call: the effects of ``call.py`` on the media session, the wire and the clock.

Runs on the event loop's thread. What the media report and what timers say comes back as events of the machine.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from typing import Any

from kiosk.bedside import call, call_events
from kiosk.bedside.devices import Devices
from kiosk.bedside.watchers import Watchers
from kiosk.errors import KioskError
from kiosk.media.session import (
    DeviceFault,
    MediaConnected,
    MediaEvent,
    MediaFailed,
    MediaSession,
    RemoteAudioStarted,
    RemoteVideoStarted,
)
from kiosk.signaling import messages as wire
from kiosk.signaling.messages import CallType

log = logging.getLogger(__name__)

CLOSE_TIMEOUT_S = 5.0
"""For ending a call's media when the service stops."""


class Calling:
    """The bed's one call. *send* writes to the wire, *tell* hears the call's story, *faulted* of broken devices."""

    def __init__(
        self,
        devices: Devices,
        *,
        ice_servers: tuple[str, ...],
        watchers: Watchers,
        send: Callable[[wire.Message], bool],
        tell: Callable[[call_events.Emit], None],
        faulted: Callable[[DeviceFault], None],
    ) -> None:
        self._devices = devices
        self._ice_servers = ice_servers
        self._watchers = watchers
        self._send = send
        self._tell = tell
        self._faulted = faulted
        self._call = call.CallState()
        self._session: MediaSession | None = None
        self._spoken = False
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def call(self) -> call.CallState:
        """The call as it is now."""
        return self._call

    @property
    def spoken(self) -> bool:
        """Whether speech has flowed both ways in this call, or in the one that just ended."""
        return self._session.spoken if self._session is not None else self._spoken

    async def close(self) -> None:
        """Close whatever media are open."""
        if self._timer is not None:
            self._timer.cancel()
        self._close_media()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=CLOSE_TIMEOUT_S)

    def step(self, event: call_events.Event) -> None:
        """Apply *event* and perform what follows."""
        before = self._call
        self._call, effects = call.step(self._call, event)
        if self._call.state is not before.state:
            call_id = self._call.call_id or before.call_id
            log.info("- call %s: %s → %s", call_id, before.state.value, self._call.state.value)
        for effect in effects:
            self._perform(effect)

    def _perform(self, effect: call_events.Effect) -> None:
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
                if self._timer is not None:
                    self._timer.cancel()
            case call_events.Emit():
                self._tell(effect)
            case call_events.Ignored():
                log.debug("- call ignores %r in %s", effect.event, effect.state.value)
            case _:
                self._send(_to_wire(effect, spoken=self.spoken))

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
        self._spoken = False
        self._spawn(self._offer(session, effect.call_id))

    async def _offer(self, session: MediaSession, call_id: str) -> None:
        try:
            sdp = await session.offer()
        except KioskError as error:
            self.step(call_events.MediaDown(call_id, str(error), time.monotonic()))
        else:
            self._watchers.trace("offered", call_id)
            self.step(call_events.Offered(call_id, sdp))

    def _with_session(self, act: Callable[[MediaSession], Coroutine[Any, Any, None]]) -> None:
        if self._session is not None:
            self._spawn(self._acting(self._session, act, self._call.call_id))

    async def _acting(
        self, session: MediaSession, act: Callable[[MediaSession], Coroutine[Any, Any, None]], call_id: str
    ) -> None:
        try:
            await act(session)
        except KioskError as error:
            log.warning("x call %s: %s", call_id, error)
            if session is self._session and not session.connected:
                self.step(call_events.MediaDown(call_id, str(error), time.monotonic()))

    def _open_gate(self, call_type: CallType) -> None:
        if self._session is None:
            return
        if call_type is CallType.AUDIO:
            self._session.switch_to_audio()
        self._session.open_gate()

    def _close_media(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            self._spoken = session.spoken
            self._spawn(session.close())

    def _media_event(self, call_id: str, event: MediaEvent) -> None:
        match event:
            case MediaConnected():
                self._watchers.trace("media_connected", call_id)
                self.step(call_events.MediaUp(call_id, time.monotonic()))
            case MediaFailed():
                self.step(call_events.MediaDown(call_id, event.why, time.monotonic()))
            case RemoteAudioStarted():
                self._watchers.trace("first_audio", call_id)
            case RemoteVideoStarted():
                self._watchers.trace("first_video", call_id)
            case DeviceFault():
                self._faulted(event)

    def _start_timer(self, effect: call_events.StartTimer) -> None:
        if self._timer is not None:
            self._timer.cancel()

        def ran_out() -> None:
            self.step(call_events.TimedOut(effect.call_id, effect.timer, time.monotonic()))

        self._timer = asyncio.get_running_loop().call_later(effect.seconds, ran_out)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _to_wire(effect: call_events.Effect, *, spoken: bool) -> wire.Message:
    match effect:
        case call_events.SendInvite():
            return wire.Invite(
                call_id=effect.call_id, fence=effect.fence, call_type=effect.call_type, sdp=effect.sdp
            )
        case call_events.SendCancel():
            return wire.Cancel(call_id=effect.call_id)
        case call_events.SendHangup():
            return wire.Hangup(call_id=effect.call_id, spoken=spoken)
        case call_events.SendFailed():
            return wire.CallFailed(call_id=effect.call_id, why=effect.why[:200], spoken=spoken)
        case call_events.SendLineBusy():
            return wire.LineBusy(call_id=effect.call_id)
        case _:
            raise AssertionError(f"{effect!r} is not a message")
