"""One media connection of a call at the bed: the kiosk offers, the seat answers, the gate opens on accept.

aiortc stays behind this file, so that it can be exchanged. Everything runs on the event loop's thread. Camera and
microphone (:mod:`kiosk.media.call_devices`) are opened with the offer (the lamp is lit by then: the patient has
pressed) so that the first picture after the accept is immediate; nothing of them leaves before :meth:`open_gate`.
"""

from __future__ import annotations

import asyncio
import datetime
import logging
import time
from collections.abc import Callable, Sequence
from typing import Any

import av
from aiortc import (
    RTCBundlePolicy,
    RTCConfiguration,
    RTCIceServer,
    RTCIceTransportPolicy,
    RTCPeerConnection,
    RTCRtpReceiver,
    RTCSessionDescription,
)
from aiortc.exceptions import OperationError
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from aiortc.sdp import candidate_from_sdp

from kiosk.errors import MediaError
from kiosk.hardware.sound import BLOCK_S
from kiosk.media import liveness, speech
from kiosk.media.aiortc_private import send_payloads, tap_packets
from kiosk.media.call_devices import CallDevices
from kiosk.media.measuring import totals
from kiosk.media.playout_words import Report
from kiosk.media.quality import Totals
from kiosk.media.seat_pictures import SeatPictures
from kiosk.media.seat_sound import SeatSound, in_words
from kiosk.media.sent_pictures import SentPictures
from kiosk.media.sent_voice import Protection, reported
from kiosk.media.session_events import (
    MediaConnected,
    MediaEvent,
    MediaFailed,
    MediaStalled,
    PicturesShed,
    RemoteAudioStarted,
    RemoteVideoStarted,
    SpokenBothWays,
)
from kiosk.media.session_sdp import check_answer, with_fec
from kiosk.media.stages import Took, nobody
from kiosk.media.tracks import Gate, VoiceTrack
from kiosk.media.video_source import VideoSource
from kiosk.signaling.messages import CallType, IceServer

__all__ = [
    "AUDIBLE_DBFS",
    "UNTRUSTED",
    "MediaConnected",
    "MediaEvent",
    "MediaFailed",
    "MediaSession",
    "MediaStalled",
    "PicturesShed",
    "RemoteAudioStarted",
    "RemoteVideoStarted",
    "SpokenBothWays",
]

log = logging.getLogger(__name__)

GATHER_TIMEOUT_S = 6.0
"""For the whole offer; a server may cost it 1 s (``aiortc_private.py``), and without one it takes milliseconds."""
CLOSE_TIMEOUT_S = 5.0
FAREWELL_S = 1.0
"""A far end that closes its connection has usually hung up: the desk's word is waited for before it is a fault."""
MAX_EARLY_CANDIDATES = 64
AUDIBLE_DBFS = -60.0
UNTRUSTED = "the seat's key is not the one that was signaled, or it cannot encrypt: refused"
"""RFC 8827 §6.5: media go only to who has the key whose fingerprint came by the desk."""
OPUS = "audio/opus"
"""The one codec that is offered for sound: every browser has it (RFC 7874 §3), and the playout knows no other."""


class MediaSession:
    """One connection. It shares *devices* with the others: its gate is its own.

    *on_event* is called on the loop; *picture*: see :meth:`show`. Of *ice_servers* the first STUN and the first
    TURN server are used; *relay_only*: no path but through TURN. *pictures* is what the bed shows, shared by all
    sessions that show it; without it the session has its own. *took* is told how long each stage took
    (:mod:`kiosk.media.stages`).
    """

    def __init__(
        self,
        *,
        call_type: CallType,
        devices: CallDevices,
        ice_servers: Sequence[IceServer],
        on_event: Callable[[MediaEvent], None],
        log_id: str,
        picture: Callable[[av.VideoFrame], None] | None = None,
        relay_only: bool = False,
        pictures: VideoSource | None = None,
        took: Took = nobody,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._call_type = call_type
        self._devices = devices
        self._on_event = on_event
        self.log_id = log_id
        self._took = took
        self._speech = speech.Speech()
        self._sound: SeatSound | None = None
        self._audible = False
        self._seat_pictures = SeatPictures(picture, began=lambda: self._tell(RemoteVideoStarted()))
        self._gate = Gate()
        self._pictures = pictures or VideoSource(took=took)
        self._owns_pictures = pictures is None
        self._protection = Protection()
        self._reported_at: datetime.datetime | None = None
        self._audio = VoiceTrack(
            self._gate, devices.voice, meter=lambda dbfs: self._meter("from_bed", dbfs), took=took
        )
        if call_type is CallType.VIDEO:
            devices.film(self._pictures.deliver)
        self._listening: list[asyncio.Task[None]] = []
        self._watching: asyncio.Task[None] | None = None
        self._offering = asyncio.Lock()
        self._peer_sends = False
        self._early: list[tuple[str, str | None, int | None]] = []
        self._closed = False
        self._answered = False
        self._was_connected = False
        self._farewell: asyncio.TimerHandle | None = None
        # An empty list is explicit: aiortc's default is a public STUN server that costs 5 s where it is
        # unreachable.
        self._pc = RTCPeerConnection(
            RTCConfiguration(
                iceServers=[
                    RTCIceServer(server.urls, server.username or None, server.credential or None)
                    for server in ice_servers
                ],
                iceTransportPolicy=RTCIceTransportPolicy.RELAY if relay_only else RTCIceTransportPolicy.ALL,
                bundlePolicy=RTCBundlePolicy.MAX_BUNDLE,
            )
        )
        self._video = SentPictures(
            self._pc, self._gate, self._pictures, shown=self._pictures_shown, log_id=log_id, took=took
        )
        self._pc.on("connectionstatechange", self._connection_changed)
        self._pc.on("track", self._remote_track)

    @property
    def connected(self) -> bool:
        """Whether media can flow now."""
        return bool(self._pc.connectionState == "connected")

    @property
    def received_sound(self) -> Report | None:
        """The figures of what the seat sends, once it is known what that is."""
        return self._sound.report if self._sound is not None else None

    async def totals(self, *, at: float) -> Totals:
        """What the connection has counted until *at*, which is now."""
        stats = await self._pc.getStats()
        return totals(stats.values(), sound=self.received_sound, frames=self._seat_pictures.arrived, at=at)

    async def offer(self) -> str:
        """Gather, and return the SDP offer. Raises :exc:`MediaError`."""
        send_payloads(self._pc.addTrack(self._audio), self._voice)
        self._offer_only_opus()
        if self._call_type is CallType.VIDEO:
            self._video.offer()
        try:
            async with self._offering, asyncio.timeout(GATHER_TIMEOUT_S):
                if self._closed:
                    raise MediaError("the call ended before its offer was made")
                await self._pc.setLocalDescription(await self._pc.createOffer())
        except TimeoutError:
            raise MediaError(f"no local address found within {GATHER_TIMEOUT_S:.0f} s") from None
        except (OSError, ValueError, RuntimeError) as error:
            raise MediaError(f"the offer cannot be made: {error}") from None
        return with_fec(str(self._pc.localDescription.sdp))

    async def answer(self, sdp: str) -> None:
        """Take the seat's answer. Raises :exc:`MediaError` when it cannot be used."""
        if self._closed:
            return
        check_answer(sdp)
        try:
            await self._pc.setRemoteDescription(RTCSessionDescription(sdp=sdp, type="answer"))
        except OperationError as error:
            raise MediaError(f"the answer cannot be used: no codec in common ({error})") from None
        except Exception as error:  # aiortc's SDP parser raises whatever a malformed line leads it to
            raise MediaError(f"the answer cannot be used: {error or type(error).__name__}") from None
        self._video.answered()
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
        """Stop sending pictures."""
        self._video.enable(False)

    def show(self, picture: Callable[[av.VideoFrame], None] | None) -> None:
        """Give what the seat's camera sends to *picture* from now on; None: nobody looks, nothing is decoded."""
        self._seat_pictures.show(picture)

    @property
    def sees_pictures(self) -> bool:
        """Whether pictures of the seat have arrived of late, decoded or not."""
        return self._seat_pictures.arrive

    def watch(self, *, peer_sends: bool) -> None:
        """Tell :class:`MediaStalled` when nothing comes any more; *peer_sends*: the seat sends without a pause."""
        self._peer_sends = peer_sends
        if self._watching is None and not self._closed:
            self._watching = self._loop.create_task(self._watch())

    async def close(self) -> None:
        """End the connection. May be called twice."""
        if self._closed:
            return
        self._closed = True
        if self._farewell is not None:
            self._farewell.cancel()
        self._audio.stop()
        self._video.stop()
        if self._owns_pictures:
            await self._pictures.close()
        if self._watching is not None:
            self._watching.cancel()
        try:
            # aiortc leaves sockets behind when it is closed while it gathers.
            async with self._offering, asyncio.timeout(CLOSE_TIMEOUT_S):
                await self._pc.close()
        except TimeoutError:
            log.warning("x call %s: the connection did not close in time", self.log_id)
        for task in self._listening:
            task.cancel()
        ending = [*self._listening, *([self._watching] if self._watching is not None else [])]
        await asyncio.gather(*ending, return_exceptions=True)

    # -- pictures

    def _pictures_shown(self, shown: bool) -> None:
        self._tell(PicturesShed(not shown))

    # -- speech

    def _meter(self, direction: speech.Direction, dbfs: float) -> None:
        before = self._speech
        if before.both_ways:
            return
        self._speech = speech.heard(before, direction, dbfs=dbfs, seconds=BLOCK_S)
        if self._speech.both_ways:
            self._tell(SpokenBothWays())

    # -- the connection

    def _offer_only_opus(self) -> None:
        known = RTCRtpReceiver.getCapabilities("audio")
        assert known is not None
        for transceiver in self._pc.getTransceivers():
            if transceiver.kind == "audio":
                transceiver.setCodecPreferences([codec for codec in known.codecs if codec.mimeType == OPUS])

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
            if self._was_connected:
                self._tell(MediaStalled("the path to the seat is lost"))
            elif any(sender.transport.state == "failed" for sender in self._pc.getSenders()):
                self._tell(MediaFailed(UNTRUSTED))  # the path is there; DTLS refused what came through it
            else:
                self._tell(MediaFailed("no path to the seat was found"))
        elif state == "closed" and self._farewell is None:
            self._farewell = self._loop.call_later(
                FAREWELL_S, self._tell, MediaFailed("the seat closed the connection")
            )

    def _tell(self, event: MediaEvent) -> None:
        if not self._closed:
            self._on_event(event)

    async def _watch(self) -> None:
        seen = await self._packets_received()
        path = liveness.begin(time.monotonic(), sends=self._peer_sends)
        while True:
            await asyncio.sleep(liveness.LOOK_EVERY_S)
            before, now = seen, time.monotonic()
            seen = await self._packets_received()
            if path.sends is not self._peer_sends:
                path = liveness.step(path, liveness.PeerSends(self._peer_sends, now))
            was = path.state
            path = liveness.step(path, liveness.Seen(now) if seen != before else liveness.Tick(now))
            if path.state is liveness.State.STALLED is not was:
                self._tell(MediaStalled(f"nothing has arrived from the seat for {path.limit_s:g} s"))
            elif self._sound is not None and self._sound.broken:
                self._tell(MediaStalled("what the seat says cannot be played"))

    async def _packets_received(self) -> int:
        """Of any kind: sound, pictures, reports."""
        report = await self._pc.getStats()
        for stats in report.values():
            if stats.type == "remote-inbound-rtp" and stats.kind == "audio":
                self._protect_voice(stats)
        return sum(stats.packetsReceived for stats in report.values() if stats.type == "transport")

    async def _voice(self) -> tuple[Sequence[bytes], int]:
        spoken = await self._audio.spoken()
        return [spoken.packet], spoken.pts

    def _protect_voice(self, stats: Any) -> None:
        """Heed the seat's report on our sound, once."""
        if stats.timestamp == self._reported_at:
            return
        self._reported_at = stats.timestamp
        before, self._protection = self._protection, reported(self._protection, fraction_lost=stats.fractionLost)
        self._audio.protect(self._protection)
        if self._protection.expected != before.expected:
            log.info("- call %s: the seat loses %.0f %% of our sound", self.log_id, self._protection.loss)

    # -- what the seat sends

    def _remote_track(self, track: MediaStreamTrack) -> None:
        receiver = next(receiver for receiver in self._pc.getReceivers() if receiver.track is track)
        listen = self._play_audio if track.kind == "audio" else self._seat_pictures.watch
        self._listening.append(self._loop.create_task(_until_ended(listen(track, receiver))))

    async def _play_audio(self, track: MediaStreamTrack, receiver: RTCRtpReceiver) -> None:
        """Until the track ends; its packets are tapped, so it gives nothing but its end."""
        sound = self._sound = SeatSound(heard=self._heard_from_seat, took=self._took)
        tap_packets(receiver, sound.take)
        self._devices.mix.add(sound)
        try:
            while True:
                await track.recv()
        finally:
            self._devices.mix.remove(sound)
            log.info("- call %s: received sound: %s", self.log_id, in_words(sound.report))

    def _heard_from_seat(self, level: float) -> None:
        self._meter("from_seat", level)
        if not self._audible and level > AUDIBLE_DBFS:
            self._audible = True
            self._tell(RemoteAudioStarted())


async def _until_ended(listening: Any) -> None:
    try:
        await listening
    except MediaStreamError:
        return
    except MediaError as error:
        log.error("x what the seat sends cannot be received: %s", error)
