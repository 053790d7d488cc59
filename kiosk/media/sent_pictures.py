"""The bed's pictures in one connection: which codec, what the seat says of them, and how they are spread.

Runs on the event loop's thread.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from aiortc import RTCPeerConnection, RTCRtpSender

from kiosk.media.aiortc_private import hear_feedback, negotiated_codec, pace, send_payloads
from kiosk.media.encoders import VideoCodec
from kiosk.media.rate_control import Report
from kiosk.media.stages import Took, nobody
from kiosk.media.tracks import Gate
from kiosk.media.video_source import VideoSource
from kiosk.media.viewer import VideoViewer

log = logging.getLogger(__name__)

PACING_FACTOR = 2.5
"""Of the bit rate that is aimed at: libwebrtc's own, so that a key frame is through before the next but two."""
PACING_START_BPS = 1_000_000


class SentPictures:
    """One viewer of *source* on *connection*; *shown* is told when it gets sound alone, and pictures again."""

    def __init__(
        self,
        connection: RTCPeerConnection,
        gate: Gate,
        source: VideoSource,
        *,
        shown: Callable[[bool], None],
        log_id: str,
        took: Took = nobody,
    ) -> None:
        self._connection = connection
        self._source = source
        self._log_id = log_id
        self._sender: RTCRtpSender | None = None
        self._track = VideoViewer(gate, source, codec=self._codec, shown=shown, took=took)

    def offer(self) -> None:
        """Be part of the offer that is made next."""
        sender = self._sender = self._connection.addTrack(self._track)
        hear_feedback(
            sender,
            keyframe=self._track.request_keyframe,
            report=lambda remb, loss, rtt: self._track.report(Report(remb, loss, rtt)),
        )
        send_payloads(sender, self._payloads)
        # The kiosk's order is the seat's choice: it takes the first that it can decode.
        known = RTCRtpSender.getCapabilities("video").codecs
        wanted = [f"video/{name}" for name in (*self._source.codecs, "rtx")]
        preferred = [codec for mime in wanted for codec in known if codec.mimeType == mime]
        for transceiver in self._connection.getTransceivers():
            if transceiver.sender is sender:
                transceiver.setCodecPreferences(preferred)

    def answered(self) -> None:
        """The seat's answer has come: the transport is known."""
        if self._sender is not None:
            pace(self._sender, rate_bps=self._pacing_bps)

    def enable(self, enabled: bool) -> None:
        """Send pictures, or none."""
        self._track.enable(enabled)

    def stop(self) -> None:
        """End them."""
        self._track.stop()

    async def _payloads(self) -> tuple[Sequence[bytes], int]:
        encoded = await self._track.encoded()
        return encoded.payloads, encoded.pts

    def _codec(self) -> VideoCodec:
        for transceiver in self._connection.getTransceivers():
            if transceiver.sender is self._sender:
                name = negotiated_codec(transceiver)
                log.info("- call %s: pictures as %s", self._log_id, name)
                return "VP8" if name == "VP8" else "H264"
        raise AssertionError("it was offered")

    def _pacing_bps(self) -> float:
        target = self._source.target
        return PACING_FACTOR * (target.bps if target is not None else PACING_START_BPS)
