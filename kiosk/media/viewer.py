"""One viewer of the bed's picture: an aiortc track that gives encoded packets (aiortc's packet mode).

Its queue is bounded and gives up whole stretches only. An encoded picture leans on the one before it, so one that
is left out spoils all that follow until the next key frame, and RTP's numbers would not even show it. When the
queue is full it is emptied, a key frame is asked for, and nothing is taken until that comes. Everything runs on the
loop's thread. The viewer joins the source when the gate opens: nothing is encoded for a seat that still rings.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import av

from kiosk.media.encoders import CLOCK, TIME_BASE, Encoded, VideoCodec
from kiosk.media.rate_control import Report
from kiosk.media.stages import Stage, Took, nobody
from kiosk.media.tracks import Gate, GatedTrack
from kiosk.media.video_source import VideoSource

MAX_QUEUED = 15
"""Half a second of pictures: a path that holds them back for longer has lost them anyway."""


class PacketQueue:
    """The pictures on their way to one viewer, oldest first."""

    def __init__(self, limit: int = MAX_QUEUED) -> None:
        self._limit = limit
        self._queued: deque[Encoded] = deque()
        self._whole = False
        """The last one taken follows the one before it without a gap, back to a key frame."""

    def __len__(self) -> int:
        return len(self._queued)

    def put(self, encoded: Encoded) -> bool:
        """Queue it. False: it was left out, and a key frame is wanted."""
        if encoded.keyframe:
            self._whole = True
            if len(self._queued) >= self._limit:
                self._queued.clear()
        elif len(self._queued) >= self._limit:
            self.clear()
        if self._whole:
            self._queued.append(encoded)
        return self._whole

    def get(self) -> Encoded:
        """The oldest. Raises :exc:`IndexError` when there is none."""
        return self._queued.popleft()

    def clear(self) -> None:
        """Give up what is queued, and all that follows until a key frame."""
        self._queued.clear()
        self._whole = False


class VideoViewer(GatedTrack):
    """The track. *codec* is asked for when the gate has opened; *shown*: see :meth:`show`.

    *took* is told of each picture (:mod:`kiosk.media.stages`).
    """

    kind = "video"

    def __init__(
        self,
        gate: Gate,
        source: VideoSource,
        *,
        codec: Callable[[], VideoCodec],
        shown: Callable[[bool], None] = lambda shown: None,
        took: Took = nobody,
    ) -> None:
        super().__init__(gate, True)
        self._took = took
        self._given: Encoded | None = None
        self._source = source
        self._codec = codec
        self._told = shown
        self._queue = PacketQueue()
        self._arrived = asyncio.Event()
        self._number: int | None = None

    # -- what the source says

    def take(self, encoded: Encoded) -> bool:
        """See :class:`kiosk.media.video_source.Viewer`."""
        taken = self._queue.put(encoded)
        if taken:
            self._arrived.set()
        return taken

    def show(self, shown: bool) -> None:
        """See :class:`kiosk.media.video_source.Viewer`."""
        self._told(shown)

    # -- what the connection says

    def request_keyframe(self) -> None:
        """The far end's decoder lacks a picture."""
        if self._number is not None:
            self._source.request_keyframe(self._number)

    def report(self, report: Report) -> None:
        """The far end has told of the path."""
        if self._number is not None:
            self._source.report(self._number, report)

    def enable(self, enabled: bool) -> None:
        """Watch, or watch no more."""
        super().enable(enabled)
        if not enabled:
            self._leave()

    def stop(self) -> None:
        """End the track."""
        super().stop()
        self._leave()

    async def encoded(self) -> Encoded:
        """The next picture. Who asks has sent the one before."""
        given, self._given = self._given, None
        if given is not None:
            self._took(Stage.PICTURE_SENT, time.monotonic() - given.pts / CLOCK)
        while True:
            await self._may_send()
            if self._number is None:
                self._number = self._source.join(self, self._codec())
            if len(self._queue):
                break
            self._arrived.clear()
            await self._arrived.wait()
        self._given = self._queue.get()
        return self._given

    async def recv(self) -> av.Packet[Any]:
        """The next picture (aiortc's reader)."""
        encoded = await self.encoded()
        packet: av.Packet[Any] = av.Packet(encoded.data)
        packet.pts, packet.time_base = encoded.pts, TIME_BASE
        packet.is_keyframe = encoded.keyframe
        return packet

    def _leave(self) -> None:
        number, self._number = self._number, None
        if number is not None:
            self._source.leave(number)
            self._queue.clear()
