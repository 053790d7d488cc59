"""What a seat's camera sends: decoded while somebody looks, counted always."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import av
import pytest
from aiortc import RTCConfiguration, RTCPeerConnection
from aiortc.rtp import RtpPacket

from kiosk.media import seat_pictures
from kiosk.media.aiortc_private import ShortJitterBuffer
from kiosk.media.interfaces import LOOPBACK, prepare_media
from kiosk.media.seat_pictures import SeatPictures


class Seat:
    """Its camera's stream at the bed, and what became of it."""

    def __init__(self) -> None:
        prepare_media([LOOPBACK])
        self.connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.receiver = self.connection.addTransceiver("video").receiver
        (self.buffer,) = [one for one in vars(self.receiver).values() if isinstance(one, ShortJitterBuffer)]
        self.began = 0
        self.seen: list[av.VideoFrame] = []
        self.pictures = SeatPictures(None, began=self._begin)
        self.watching = asyncio.create_task(self.pictures.watch(self.receiver.track, self.receiver))

    def _begin(self) -> None:
        self.began += 1

    def sends(self, pictures: int) -> None:
        """Each in two packets."""
        for number in range(pictures):
            for marker in (0, 1):
                self.buffer.add(RtpPacket(sequence_number=2 * number + marker, timestamp=number, marker=marker))


@pytest.fixture
async def seat() -> AsyncIterator[Seat]:
    seat = Seat()
    await asyncio.sleep(0)  # one turn of the loop: it watches
    yield seat
    seat.watching.cancel()
    await asyncio.gather(seat.watching, return_exceptions=True)
    await seat.connection.close()


async def test_nobody_looks_so_nothing_reaches_the_decoder_and_all_are_counted(seat: Seat) -> None:
    assert not seat.pictures.arrive
    seat.sends(3)
    assert seat.buffer._packets == [None] * seat.buffer.capacity, "aiortc keeps none for its decoder"
    assert (seat.pictures.arrived, seat.began) == (3, 1)
    assert seat.pictures.arrive


async def test_who_looks_lets_packets_through_to_the_decoder_and_who_looks_away_stops_them(seat: Seat) -> None:
    seat.pictures.show(seat.seen.append)
    assert seat.buffer.tap is None
    seat.pictures.show(None)
    assert seat.buffer.tap is not None


async def test_a_seat_of_which_none_has_come_of_late_shows_none(
    seat: Seat, monkeypatch: pytest.MonkeyPatch
) -> None:
    seat.sends(1)
    monkeypatch.setattr(seat_pictures, "NO_PICTURES_S", 0.0)
    assert not seat.pictures.arrive
