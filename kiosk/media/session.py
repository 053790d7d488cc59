"""The media connection of one call at the bed: the kiosk offers, the seat answers, the gate opens on accept.

aiortc stays behind this file, so that it can be exchanged. Everything runs on the event loop's thread but what
devices do on their own. Camera and microphone are opened with the offer (the lamp is lit by then: the patient has
pressed) so that the first picture after the accept is immediate; nothing of them leaves before :meth:`open_gate`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import av
import numpy as np
from aiortc import (
    RTCBundlePolicy,
    RTCConfiguration,
    RTCIceServer,
    RTCPeerConnection,
    RTCSessionDescription,
)
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from aiortc.sdp import candidate_from_sdp
from numpy.typing import NDArray

from kiosk.errors import HardwareFault, MediaError
from kiosk.hardware.camera import Camera
from kiosk.hardware.levels import rms_dbfs
from kiosk.hardware.microphone import BLOCK_SAMPLES, SAMPLE_RATE, Microphone
from kiosk.hardware.speaker import Speaker
from kiosk.media import speech
from kiosk.media.tracks import BLOCK_S, Gate, GatedAudioTrack, GatedVideoTrack
from kiosk.signaling.messages import CallType

log = logging.getLogger(__name__)

GATHER_TIMEOUT_S = 6.0
"""aioice gives a STUN server 5 s; without one gathering takes milliseconds."""
CLOSE_TIMEOUT_S = 5.0
FAREWELL_S = 1.0
"""A far end that closes its connection has usually hung up: the desk's word is waited for before it is a fault."""
MAX_SDP_BYTES = 64 * 1024
MAX_EARLY_CANDIDATES = 64
AUDIBLE_DBFS = -60.0


Device = Literal["camera", "microphone", "speaker"]


@dataclass(frozen=True)
class MediaConnected:
    """ICE and DTLS are done."""


@dataclass(frozen=True)
class MediaFailed:
    """The connection cannot be made, or broke."""

    why: str


@dataclass(frozen=True)
class RemoteAudioStarted:
    """The first audible sound of the seat has arrived."""


@dataclass(frozen=True)
class RemoteVideoStarted:
    """The first picture of the seat has been decoded."""


@dataclass(frozen=True)
class SpokenBothWays:
    """Speech has flowed in both directions (see :mod:`kiosk.media.speech`). Told once."""


@dataclass(frozen=True)
class DeviceOpened:
    """A device of the bed works."""

    device: Device


@dataclass(frozen=True)
class DeviceFault:
    """A device of the bed is missing or went away."""

    device: Device
    words: str


MediaEvent = (
    MediaConnected
    | MediaFailed
    | RemoteAudioStarted
    | RemoteVideoStarted
    | SpokenBothWays
    | DeviceOpened
    | DeviceFault
)


class MediaSession:
    """One call's media. *on_event* is called on the loop; *picture* gets what the seat shows, newest first wins."""

    def __init__(
        self,
        *,
        call_type: CallType,
        camera: Camera | None,
        microphone: Microphone | None,
        speaker: Speaker | None,
        ice_servers: Sequence[str],
        on_event: Callable[[MediaEvent], None],
        log_id: str,
        picture: Callable[[av.VideoFrame], None] | None = None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._call_type = call_type
        self._camera = camera if call_type is CallType.VIDEO else None
        self._microphone = microphone
        self._speaker = speaker
        self._on_event = on_event
        self.log_id = log_id
        self._picture = picture
        self._speech = speech.Speech()
        self._gate = Gate()
        self._audio = GatedAudioTrack(self._gate, meter=self._meter_bed)
        self._video = GatedVideoTrack(self._gate)
        self._opening: asyncio.Task[None] | None = None
        self._gathering: asyncio.Task[None] | None = None
        self._listening: list[asyncio.Task[None]] = []
        self._letting_go: list[asyncio.Task[None]] = []
        self._early: list[tuple[str, str | None, int | None]] = []
        self._closed = False
        self._answered = False
        self._was_connected = False
        self._farewell: asyncio.TimerHandle | None = None
        # An empty list is explicit: aiortc's default is a public STUN server that costs 5 s where it is
        # unreachable.
        self._pc = RTCPeerConnection(
            RTCConfiguration(
                iceServers=[RTCIceServer(urls=url) for url in ice_servers],
                bundlePolicy=RTCBundlePolicy.MAX_BUNDLE,
            )
        )
        self._pc.on("connectionstatechange", self._connection_changed)
        self._pc.on("track", self._remote_track)

    @property
    def connected(self) -> bool:
        """Whether media can flow now."""
        return bool(self._pc.connectionState == "connected")

    async def offer(self) -> str:
        """Open the devices behind the gate, gather, and return the SDP offer. Raises :exc:`MediaError`.

        The offer does not wait for the devices, some of which take a second. One that cannot be opened is told as
        :class:`DeviceFault`; the call goes on without it.
        """
        self._opening = self._loop.create_task(self._open_devices())
        self._pc.addTrack(self._audio)
        if self._call_type is CallType.VIDEO:
            self._pc.addTrack(self._video)
        self._gathering = self._loop.create_task(self._gather())
        await self._gathering
        return str(self._pc.localDescription.sdp)

    async def _gather(self) -> None:
        try:
            async with asyncio.timeout(GATHER_TIMEOUT_S):
                await self._pc.setLocalDescription(await self._pc.createOffer())
        except TimeoutError:
            raise MediaError(f"no local address found within {GATHER_TIMEOUT_S:.0f} s") from None
        except (OSError, ValueError, RuntimeError) as error:
            raise MediaError(f"the offer cannot be made: {error}") from None

    async def answer(self, sdp: str) -> None:
        """Take the seat's answer. Raises :exc:`MediaError` when it cannot be used."""
        if self._closed:
            return
        if len(sdp) > MAX_SDP_BYTES:
            raise MediaError(f"the answer has {len(sdp)} bytes; at most {MAX_SDP_BYTES} are allowed")
        try:
            await self._pc.setRemoteDescription(RTCSessionDescription(sdp=sdp, type="answer"))
        except Exception as error:  # aiortc's SDP parser raises whatever a malformed line leads it to
            raise MediaError(f"the answer cannot be used: {error or type(error).__name__}") from None
        self._answered = True
        early, self._early = self._early, []
        for candidate in early:
            await self._add(*candidate)

    async def candidate(self, text: str, sdp_mid: str | None, sdp_mline_index: int | None) -> None:
        """Take a trickled candidate; empty *text* means there are no more. Raises :exc:`MediaError`."""
        if self._closed:
            return
        if self._answered:
            await self._add(text, sdp_mid, sdp_mline_index)
        elif len(self._early) < MAX_EARLY_CANDIDATES:
            self._early.append((text, sdp_mid, sdp_mline_index))

    def open_gate(self) -> None:
        """Camera and microphone leave from now on."""
        log.info("- call %s: gate open", self.log_id)
        self._gate.open()

    def switch_to_audio(self) -> None:
        """Stop sending pictures, and let the camera go."""
        self._video.enable(False)
        camera, self._camera = self._camera, None
        if camera is not None:
            self._letting_go.append(self._loop.create_task(self._let_go(camera)))

    async def _let_go(self, camera: Camera) -> None:
        if self._opening is not None:
            await self._opening
        await asyncio.to_thread(camera.close)

    async def close(self) -> None:
        """End everything. May be called twice."""
        if self._closed:
            return
        self._closed = True
        if self._farewell is not None:
            self._farewell.cancel()
        self._audio.stop()
        self._video.stop()
        if self._opening is not None:
            await self._opening
        for device in (self._camera, self._microphone, self._speaker):
            if device is not None:
                await asyncio.to_thread(device.close)  # waits for the device's thread, which may be in a driver
        if self._gathering is not None:
            # aioice would keep a socket that it opens after its end.
            await asyncio.wait([self._gathering])
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await self._pc.close()
        except TimeoutError:
            log.warning("x call %s: the connection did not close in time", self.log_id)
        for task in self._listening:
            task.cancel()
        await asyncio.gather(*self._listening, *self._letting_go, return_exceptions=True)

    # -- devices

    async def _open_devices(self) -> None:
        openings: list[tuple[Device, Callable[[], None]]] = []
        if self._camera is not None:
            openings.append(("camera", partial(self._camera.open, self._video.deliver, self._fault_of("camera"))))
        if self._microphone is not None:
            openings.append(
                ("microphone", partial(self._microphone.open, self._audio.deliver, self._fault_of("microphone")))
            )
        if self._speaker is not None:
            openings.append(("speaker", partial(self._speaker.open, self._fault_of("speaker"))))
        await asyncio.gather(*(self._open(device, act) for device, act in openings))

    async def _open(self, device: Device, act: Callable[[], None]) -> None:
        try:
            await asyncio.to_thread(act)
        except HardwareFault as fault:
            self._tell(DeviceFault(device, str(fault)))
        else:
            self._tell(DeviceOpened(device))

    def _fault_of(self, device: Device) -> Callable[[str], None]:
        def told(words: str) -> None:
            try:
                self._loop.call_soon_threadsafe(self._tell, DeviceFault(device, words))
            except RuntimeError:
                return  # the loop is closed: nobody is left to be told

        return told

    def _meter_bed(self, block: NDArray[np.int16]) -> None:
        self._meter("from_bed", rms_dbfs(block))

    def _meter(self, direction: speech.Direction, dbfs: float) -> None:
        before = self._speech
        self._speech = speech.heard(before, direction, dbfs=dbfs, seconds=BLOCK_S)
        if self._speech.both_ways and not before.both_ways:
            self._tell(SpokenBothWays())

    # -- the connection

    async def _add(self, text: str, sdp_mid: str | None, sdp_mline_index: int | None) -> None:
        if not text:
            await self._pc.addIceCandidate(None)
            return
        try:
            candidate = candidate_from_sdp(text.removeprefix("candidate:"))
            candidate.sdpMid = sdp_mid
            candidate.sdpMLineIndex = sdp_mline_index
            await self._pc.addIceCandidate(candidate)
        except (ValueError, IndexError, AssertionError) as error:
            log.warning("x call %s: candidate not understood: %s", self.log_id, error or "malformed")

    def _connection_changed(self) -> None:
        state = self._pc.connectionState
        log.info("- call %s: media %s", self.log_id, state)
        if self._closed:
            return
        if state == "connected":
            self._was_connected = True
            self._tell(MediaConnected())
        elif state == "failed":
            lost = "the path to the seat is lost" if self._was_connected else "no path to the seat was found"
            self._tell(MediaFailed(lost))
        elif state == "closed" and self._farewell is None:
            self._farewell = self._loop.call_later(
                FAREWELL_S, self._tell, MediaFailed("the seat closed the connection")
            )

    def _tell(self, event: MediaEvent) -> None:
        if not self._closed:
            self._on_event(event)

    # -- what the seat sends

    def _remote_track(self, track: MediaStreamTrack) -> None:
        listen = self._play_audio if track.kind == "audio" else self._show_video
        self._listening.append(self._loop.create_task(_until_ended(listen(track))))

    async def _play_audio(self, track: MediaStreamTrack) -> None:
        started = False
        rest: NDArray[np.int16] = np.empty(0, np.int16)
        while True:
            sound = mono(await track.recv())
            rest = np.concatenate([rest, sound])
            while len(rest) >= BLOCK_SAMPLES:
                block, rest = rest[:BLOCK_SAMPLES], rest[BLOCK_SAMPLES:]
                if self._speaker is not None:
                    self._speaker.play(block)
                level = rms_dbfs(block)
                self._meter("from_seat", level)
                if not started and level > AUDIBLE_DBFS:
                    started = True
                    self._tell(RemoteAudioStarted())

    async def _show_video(self, track: MediaStreamTrack) -> None:
        """Also read when nobody looks: aiortc's queue of decoded frames has no bound."""
        started = False
        while True:
            frame = await track.recv()
            if not isinstance(frame, av.VideoFrame):
                continue
            if not started:
                started = True
                self._tell(RemoteVideoStarted())
            if self._picture is not None:
                self._picture(frame)


def mono(frame: Any) -> NDArray[np.int16]:
    """The samples of a decoded Opus frame (packed stereo, 16 bit, 48 kHz) as one channel."""
    samples = frame.to_ndarray().reshape(-1, len(frame.layout.channels)).astype(np.int32)
    if frame.sample_rate != SAMPLE_RATE:
        raise MediaError(f"sound of {frame.sample_rate} Hz instead of {SAMPLE_RATE}")
    mixed: NDArray[np.int16] = samples.mean(axis=1).astype(np.int16)
    return mixed


async def _until_ended(listening: Any) -> None:
    try:
        await listening
    except MediaStreamError:
        return
