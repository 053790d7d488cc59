"""Odd and hostile seats: whatever they say or send, the call ends in words or goes on, and nothing leaks."""

from __future__ import annotations

import asyncio
import random
import re
import socket
from collections.abc import AsyncIterator

import pytest

from kiosk.errors import MediaError
from kiosk.hardware.microphone import ToneMicrophone
from kiosk.media.answering_peer import AnsweringPeer
from kiosk.media.interfaces import LOOPBACK, prepare_media
from kiosk.media.session import UNTRUSTED, MediaConnected, MediaFailed
from tests.contract.test_media import BED_HZ, SEAT_HZ, Bed, picture
from tests.datagrams import Capture
from tests.waiting import HANG_S, until


@pytest.fixture(autouse=True)
def loopback() -> None:
    prepare_media([LOOPBACK])


@pytest.fixture
async def seat() -> AsyncIterator[AnsweringPeer]:
    peer = AnsweringPeer(hz=SEAT_HZ)
    yield peer
    await peer.close()


@pytest.fixture
async def bed() -> AsyncIterator[Bed]:
    bed = Bed(camera=picture(), microphone=ToneMicrophone(BED_HZ))
    yield bed
    await bed.closes()


def another_fingerprint(sdp: str) -> str:
    def other(found: re.Match[str]) -> str:
        return found[1] + random.Random(7).randbytes(32).hex(":").upper()

    changed = re.sub(r"(a=fingerprint:\S+ )(\S+)", other, sdp)
    assert changed != sdp
    return changed


@pytest.mark.promise("R17")
async def test_a_seat_with_another_key_than_was_signaled_is_refused_and_gets_nothing(
    bed: Bed, seat: AnsweringPeer, monkeypatch: pytest.MonkeyPatch
) -> None:
    capture = Capture(monkeypatch)
    await bed.session.answer(another_fingerprint(await seat.answer(await bed.session.offer())))
    bed.session.open_gate()
    failed = await bed.tells(MediaFailed)
    assert failed == MediaFailed(UNTRUSTED)
    assert not [event for event in bed.events if isinstance(event, MediaConnected)]
    assert capture.sent["dtls"]
    assert not capture.sent["rtp"]


@pytest.mark.promise("R17")
async def test_an_answer_without_a_fingerprint_is_refused(bed: Bed, seat: AnsweringPeer) -> None:
    answer = await seat.answer(await bed.session.offer())
    with pytest.raises(MediaError, match="the answer names no key"):
        await bed.session.answer(re.sub(r"a=fingerprint:.*\r\n", "", answer))


async def test_an_answer_without_a_common_codec_is_refused_in_words(bed: Bed, seat: AnsweringPeer) -> None:
    answer = await seat.answer(await bed.session.offer())
    with pytest.raises(MediaError, match=r"the answer cannot be used: no codec in common"):
        await bed.session.answer(re.sub(r"a=rtpmap:(\d+) \S+", r"a=rtpmap:\1 telepathy/90000", answer))


async def test_a_seat_without_h264_is_seen_and_heard(bed: Bed, seat: AnsweringPeer) -> None:
    offer = await bed.session.offer()
    h264 = re.findall(r"a=rtpmap:(\d+) H264/", offer)
    assert h264
    h264 += [rtx for rtx, of in re.findall(r"a=fmtp:(\d+) apt=(\d+)", offer) if of in h264]
    offer = re.sub(rf"a=(rtpmap|fmtp|rtcp-fb):({'|'.join(h264)}) .*\r\n", "", offer)
    offer = re.sub(rf"(m=video .*?)((?: (?:{'|'.join(h264)})\b)+)", r"\1", offer)
    await bed.session.answer(await seat.answer(offer))
    await bed.tells(MediaConnected)
    bed.session.open_gate()
    seat.accept()
    async with asyncio.timeout(HANG_S):
        await seat.coded.wait()
        await seat.audible.wait()


FLOODS = {
    "rtp": bytes([0x80, 111]),
    "rtcp": bytes([0x80, 200]),
    "dtls": bytes([22, 254, 253]),
    "stun": bytes([0, 1, 0, 8, 0x21, 0x12, 0xA4, 0x42]),
    "nothing known": bytes([255]),
}
FLOOD = 20_000


@pytest.mark.parametrize("what", FLOODS)
async def test_a_flood_of_garbage_from_a_stranger_does_not_end_the_call(
    bed: Bed, seat: AnsweringPeer, what: str
) -> None:
    offer = await bed.session.offer()
    await bed.session.answer(await seat.answer(offer))
    await bed.tells(MediaConnected)
    bed.session.open_gate()
    found = re.search(r"a=candidate:\S+ 1 udp \d+ (\S+) (\d+) typ host", offer)
    assert found
    chance = random.Random(7)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        for number in range(FLOOD):
            stranger.sendto(FLOODS[what] + chance.randbytes(chance.randrange(1200)), (found[1], int(found[2])))
            if number % 50 == 0:
                await asyncio.sleep(0)  # the bed takes its turn
    codes = len(seat.codes)
    await until(lambda: len(seat.codes) > codes + 10, "pictures go on")
    async with asyncio.timeout(HANG_S):
        await seat.enough_sound.wait()
    assert not [event for event in bed.events if isinstance(event, MediaFailed)]
