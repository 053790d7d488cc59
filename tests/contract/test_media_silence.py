"""Before the accept no sound and no picture is on the wire: looked at where datagrams leave for the socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from kiosk.hardware.microphone import Block, OnBlock, OnFault, ToneMicrophone
from kiosk.media.answering_peer import AnsweringPeer
from kiosk.media.interfaces import LOOPBACK, prepare_media
from tests.contract.test_media import BED_HZ, SEAT_HZ, Bed, connect, picture
from tests.datagrams import Capture, kind
from tests.waiting import HANG_S, until

MANY_BLOCKS = 100
"""Of 20 ms: two seconds of sound, and sixty pictures, that could leak."""


@pytest.fixture
async def seat() -> AsyncIterator[AnsweringPeer]:
    prepare_media([LOOPBACK])
    peer = AnsweringPeer(hz=SEAT_HZ)
    yield peer
    await peer.close()


class Counting(ToneMicrophone):
    """Counts the blocks it has delivered."""

    blocks = 0

    def open(self, on_block: OnBlock, on_fault: OnFault) -> None:
        def counted(block: Block) -> None:
            self.blocks += 1
            on_block(block)

        super().open(counted, on_fault)


@pytest.mark.parametrize(
    ("first", "second", "what"),
    [
        (0, 1, "stun"),
        (22, 254, "dtls"),
        (64, 0, "turn channel"),
        (0x80, 96, "rtp"),
        (0x90, 0x80 | 111, "rtp"),
        (0x81, 200, "rtcp"),
        (0x8F, 206, "rtcp"),
        (255, 0, "other"),
    ],
)
def test_datagrams_are_told_apart_by_their_first_bytes(first: int, second: int, what: str) -> None:
    assert kind(bytes([first, second, 0, 0])) == what
    assert kind(b"") == "other"


@pytest.mark.promise("R06")
async def test_neither_sound_nor_picture_is_on_the_wire_before_the_accept(
    seat: AnsweringPeer, monkeypatch: pytest.MonkeyPatch
) -> None:
    capture = Capture(monkeypatch)
    microphone = Counting(BED_HZ)
    bed = Bed(camera=picture(), microphone=microphone)
    try:
        await connect(bed, seat)
        await until(lambda: microphone.blocks >= MANY_BLOCKS, "the bed has captured for two seconds")
        assert set(capture.sent) <= {"stun", "dtls", "rtcp"}
        assert capture.sent["stun"]
        assert capture.sent["dtls"]

        bed.session.open_gate()
        async with asyncio.timeout(HANG_S):
            await seat.visible.wait()
            await seat.audible.wait()
        assert capture.sent["rtp"], "the same capture sees what leaves after it"
    finally:
        await bed.closes()
