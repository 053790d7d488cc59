"""One call's media at the bed: its connection, rebuilt when the machine wants it, and how good it is.

A bed has one for each seat of a talk (:mod:`kiosk.bedside.call_media`), and none knows of the others: what ends or
stalls here is no word about them. Runs on the event loop's thread.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

import av

from kiosk.bedside import bed_events, call_events
from kiosk.bedside.call_quality import QualityWatch
from kiosk.bedside.watchers import Trace
from kiosk.errors import KioskError
from kiosk.media.call_devices import CallDevices
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
from kiosk.media.stages import Took
from kiosk.media.video_source import VideoSource
from kiosk.signaling.messages import CallType

log = logging.getLogger(__name__)

Act = Callable[[MediaSession], Coroutine[Any, Any, None]]
Picture = Callable[[av.VideoFrame], None]
Told = bed_events.OfMedia | bed_events.Measured | bed_events.PicturesShed


@dataclass(frozen=True)
class Shared:
    """What all calls of a bed have in common.

    ``report`` takes what happens, at once and on the loop; ``spawn`` runs something to its end.
    """

    devices: CallDevices
    relays: Relays
    relay_only: bool
    trace: Trace
    took: Took
    report: Callable[[Told], None]
    spawn: Callable[[Coroutine[Any, Any, None]], None]


class CallConnection:
    """The media of *call_id*. *pictures* is what it sends, if it sends any."""

    def __init__(self, shared: Shared, call_id: str, call_type: CallType, *, pictures: VideoSource | None) -> None:
        self._shared = shared
        self._call_id = call_id
        self.call_type = call_type
        self._pictures = pictures
        self._session: MediaSession | None = None
        self._number = 0
        self._picture: Picture | None = None
        self._quality = QualityWatch(
            lambda: self._session, report=lambda told: shared.report(bed_events.Measured(told))
        )

    def connect(self, number: int) -> None:
        """Make connection *number* and its offer; an earlier one is given up."""
        self._disconnect()
        session = MediaSession(
            call_type=self.call_type,
            devices=self._shared.devices,
            ice_servers=self._shared.relays.for_a_call(),
            relay_only=self._shared.relay_only,
            on_event=lambda event: self._told(number, event),
            log_id=self._call_id,
            picture=self._picture,
            pictures=self._pictures,
            took=self._shared.took,
        )
        self._session, self._number = session, number
        self._shared.spawn(self._offer(session, number))

    @property
    def shows(self) -> bool:
        """Whether pictures of the seat arrive, looked at or not."""
        return self._session is not None and self._session.sees_pictures

    def show(self, picture: Picture | None) -> None:
        """Give the seat's pictures to *picture* from now on, of whatever connection; None: nobody looks."""
        if picture is not self._picture:
            self._picture = picture
            if self._session is not None:
                self._session.show(picture)

    def watch(self, *, sends: bool) -> None:
        """Notice when nothing comes any more; *sends*: the seat sends without a pause. And measure."""
        if self._session is not None:
            self._session.watch(peer_sends=sends)
            self._quality.start(self._call_id)

    def do(self, act: Act) -> None:
        """Let the connection of the moment *act*; that it cannot is told if it never was one."""
        if self._session is not None:
            self._shared.spawn(self._acting(self._session, act))

    def open_gate(self) -> None:
        """Camera and microphone leave to this seat from now on."""
        if self._session is not None:
            self._session.open_gate()
            self._shared.trace("gate", self._call_id)

    def switch_to_audio(self) -> None:
        """No pictures any more."""
        self.call_type = CallType.AUDIO
        if self._session is not None:
            self._session.switch_to_audio()

    def close(self) -> None:
        """End it, soon."""
        self._quality.stop()
        self._disconnect()

    def _disconnect(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            self._shared.spawn(_end(session))

    async def _offer(self, session: MediaSession, number: int) -> None:
        try:
            sdp = await session.offer()
        except KioskError as error:
            self._down(str(error), number)
        else:
            self._shared.trace("offered", self._call_id)
            self._shared.report(call_events.Offered(self._call_id, sdp, number))

    async def _acting(self, session: MediaSession, act: Act) -> None:
        try:
            await act(session)
        except KioskError as error:
            log.warning("x call %s: %s", self._call_id, error)
            if session is self._session and not session.connected:
                self._down(str(error), self._number)

    def _down(self, why: str, number: int) -> None:
        self._shared.report(call_events.MediaDown(self._call_id, why, time.monotonic(), number))

    def _told(self, number: int, event: MediaEvent) -> None:
        match event:
            case MediaConnected():
                self._shared.trace("media_connected", self._call_id)
                self._shared.report(call_events.MediaUp(self._call_id, time.monotonic(), number))
            case MediaFailed():
                self._shared.relays.doubt()
                self._down(event.why, number)
            case MediaStalled():
                self._shared.relays.doubt()
                self._shared.report(call_events.MediaStalled(self._call_id, event.why, time.monotonic(), number))
            case SpokenBothWays():
                self._shared.report(call_events.Spoken(self._call_id))
            case PicturesShed():
                self._shared.report(bed_events.PicturesShed(self._call_id, event.shed))
            case RemoteAudioStarted():
                self._shared.trace("first_audio", self._call_id)
            case RemoteVideoStarted():
                self._shared.trace("first_video", self._call_id)


async def _end(session: MediaSession) -> None:
    await session.close()
    await asyncio.to_thread(trim_heap)
