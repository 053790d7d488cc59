"""Odd and hostile seats: whatever they say or send, the call ends in words or goes on, and nothing leaks."""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
import socket
from collections.abc import AsyncIterator, Callable

import pylibsrtp
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


OPUS = re.compile(r"a=rtpmap:(\d+) opus/48000/2\r\n", re.IGNORECASE)


@pytest.mark.parametrize(
    "without",
    [
        pytest.param(lambda sdp: OPUS.sub(r"a=rtpmap:\1 G726-32/8000\r\n", sdp), id="another codec instead"),
        pytest.param(lambda sdp: re.sub(r"(m=audio .*SAVPF) .*\r\n", r"\1 0\r\n", OPUS.sub("", sdp)), id="PCMU"),
    ],
)
async def test_a_seat_without_opus_is_refused_in_words(
    bed: Bed, seat: AnsweringPeer, without: Callable[[str], str]
) -> None:
    answer = await seat.answer(await bed.session.offer())
    changed = without(answer)
    assert changed != answer
    with pytest.raises(MediaError, match=r"the answer cannot be used: no codec in common"):
        await bed.session.answer(changed)


async def test_an_answer_of_a_megabyte_is_refused_before_it_is_read(bed: Bed, seat: AnsweringPeer) -> None:
    answer = await seat.answer(await bed.session.offer())
    huge = answer + "a=candidate:1 1 udp 1 10.0.0.1 9 typ host\r\n" * 25_000
    with pytest.raises(MediaError, match=rf"the answer has {len(huge)} bytes; at most 65536 are allowed"):
        await bed.session.answer(huge)
    await bed.session.answer(answer)
    await bed.tells(MediaConnected)


FLOODS = {
    "rtp": bytes([0x80, 111]),
    "rtcp": bytes([0x80, 200]),
    "dtls": bytes([22, 254, 253]),
    "stun": bytes([0, 1, 0, 8, 0x21, 0x12, 0xA4, 0x42]),
    "nothing known": bytes([255]),
}
FLOOD = 20_000


async def talk(bed: Bed, seat: AnsweringPeer) -> tuple[str, int]:
    """Both have accepted, and the seat sees the bed. Returns where the bed's socket is."""
    offer = await bed.session.offer()
    await bed.session.answer(await seat.answer(offer))
    await bed.tells(MediaConnected)
    bed.session.open_gate()
    seat.accept()
    async with asyncio.timeout(HANG_S):
        await seat.coded.wait()
    found = re.search(r"a=candidate:\S+ 1 udp \d+ (\S+) (\d+) typ host", offer)
    assert found
    return found[1], int(found[2])


async def goes_on(bed: Bed, seat: AnsweringPeer) -> None:
    """Pictures and sound go on, and the same connection carries them."""
    codes = len(seat.codes)
    await until(lambda: len(seat.codes) > codes + 10, "pictures go on")
    async with asyncio.timeout(HANG_S):
        await seat.enough_sound.wait()
    assert bed.session.connected
    assert not [event for event in bed.events if isinstance(event, MediaFailed)]


@pytest.mark.parametrize("what", FLOODS)
async def test_a_flood_of_garbage_from_a_stranger_does_not_end_the_call(
    bed: Bed, seat: AnsweringPeer, what: str
) -> None:
    address = await talk(bed, seat)
    chance = random.Random(7)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        for number in range(FLOOD):
            stranger.sendto(FLOODS[what] + chance.randbytes(chance.randrange(1200)), address)
            if number % 50 == 0:
                await asyncio.sleep(0)  # the bed takes its turn
    await goes_on(bed, seat)


@pytest.mark.parametrize("data", [b"", *(kind[:1] for kind in FLOODS.values()), bytes([0x80, 200])])
async def test_a_datagram_with_next_to_nothing_in_it_does_not_end_the_call(
    bed: Bed, seat: AnsweringPeer, data: bytes
) -> None:
    address = await talk(bed, seat)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.sendto(data, address)
    await goes_on(bed, seat)


ODD = 3000
SPOILT = 30
RTP_HEADER = 12
PLAIN = bytes([0x80])
"""The first byte of a header without extensions."""
RTCP_KINDS = (200, 201, 202, 203, 204, 205, 206, 207)


def odd_rtcp(chance: random.Random, ssrc: int) -> bytes:
    """Of the right form, and of a stream that is known at times; what it says is chance."""
    body = chance.choice([ssrc.to_bytes(4, "big"), b""]) + chance.randbytes(4 * chance.randrange(1, 20))
    head = bytes([0x80 | chance.randrange(32), chance.choice(RTCP_KINDS)])
    return head + (len(body) // 4).to_bytes(2, "big") + body + chance.randbytes(chance.choice([0, 0, 3]))


def odd_rtp(chance: random.Random, ssrc: int) -> bytes:
    """Any header bits, any stream."""
    kind = chance.choice([*range(64), *range(96, 128)])  # what lies between is RTCP (RFC 5761)
    return bytes([0x80 | chance.randrange(64), kind]) + chance.randbytes(chance.randrange(10, 300))


@pytest.mark.parametrize("make", [odd_rtcp, odd_rtp])
async def test_a_seat_that_sends_garbage_with_the_right_key_does_not_end_the_call(
    bed: Bed, seat: AnsweringPeer, make: Callable[[random.Random, int], bytes]
) -> None:
    await talk(bed, seat)
    sender = seat._pc.getSenders()[0]
    chance = random.Random(7)
    for number in range(ODD):
        with contextlib.suppress(pylibsrtp.Error):  # it refuses a header that does not fit its packet
            await sender.transport._send_rtp(make(chance, sender._ssrc))
        if number % 20 == 0:
            await asyncio.sleep(0)  # the bed takes its turn
    await goes_on(bed, seat)


@pytest.mark.parametrize("kind", ["audio", "video"])
async def test_a_stream_that_no_decoder_understands_does_not_end_the_call(
    bed: Bed, seat: AnsweringPeer, kind: str
) -> None:
    await talk(bed, seat)
    (sender,) = (one for one in seat._pc.getSenders() if one.track.kind == kind)
    transport, chance, spoilt = sender.transport, random.Random(7), 0
    send = transport._send_rtp

    async def spoil(data: bytes) -> None:
        nonlocal spoilt
        if data[8:12] == sender._ssrc.to_bytes(4, "big") and chance.random() < 0.5:
            spoilt += 1
            data = PLAIN + data[1:RTP_HEADER] + chance.randbytes(len(data) - RTP_HEADER)
        await send(data)

    vars(transport).update(_send_rtp=spoil)
    await until(lambda: spoilt >= SPOILT, "packets are spoilt")
    await goes_on(bed, seat)
