"""What one seat's camera sends, for the patient's panel: decoded while somebody looks, and only then.

Everything runs on the event loop's thread.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import av
from aiortc import RTCRtpReceiver
from aiortc.mediastreams import MediaStreamTrack
from aiortc.rtp import RtpPacket

from kiosk.media.aiortc_private import tap_packets

NO_PICTURES_S = 2.0
"""A seat of which none has come for so long shows none: its camera is off, or its path is lost."""

Picture = Callable[[av.VideoFrame], None]


class SeatPictures:
    """The pictures of one connection, given to *picture* (see :meth:`show`); *began* is called at the first."""

    def __init__(self, picture: Picture | None, *, began: Callable[[], None]) -> None:
        self._picture = picture
        self._began = began
        self._receiver: RTCRtpReceiver | None = None
        self._arrived_at = -math.inf
        self.arrived = 0
        """Whole pictures, decoded or not."""

    @property
    def arrive(self) -> bool:
        """Whether some have come of late, decoded or not."""
        return time.monotonic() - self._arrived_at < NO_PICTURES_S

    def show(self, picture: Picture | None) -> None:
        """Give them to *picture* from now on; None: nobody looks."""
        self._picture = picture
        if self._receiver is not None:
            # Decoding begins in the middle: the decoder fails until aiortc has asked for a key frame for it.
            tap_packets(self._receiver, self._leave_out if picture is None else None)

    async def watch(self, track: MediaStreamTrack, receiver: RTCRtpReceiver) -> None:
        """Until *track* of *receiver* ends. Also read when nobody looks: aiortc's queue of frames has no bound."""
        self._receiver = receiver
        self.show(self._picture)
        while True:
            frame = await track.recv()
            if not isinstance(frame, av.VideoFrame):
                continue
            self._note()
            if self._picture is not None:
                self._picture(frame)

    def _leave_out(self, packet: RtpPacket) -> None:
        if packet.marker:  # the last of a picture (RFC 6184 §5.1, RFC 7741 §4.1)
            self._note()

    def _note(self) -> None:
        self._arrived_at = time.monotonic()
        self.arrived += 1
        if self.arrived == 1:
            self._began()
