"""What is hooked into aiortc's senders: the far end's feedback is heard, and their packets are paced."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import av
import numpy as np
import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCRtpCodecParameters
from aiortc.rtp import (
    RTCP_PSFB_APP,
    RTCP_PSFB_FIR,
    RTCP_PSFB_PLI,
    RtcpPsfbPacket,
    RtcpReceiverInfo,
    RtcpRrPacket,
    pack_remb_fci,
)

from kiosk.media import aiortc_private
from kiosk.media.aiortc_private import hear_feedback, negotiated_codec, pace, packer, send_payloads
from kiosk.media.encoders import SOFTWARE, Shape, VideoCodec
from tests.waiting import until


class Heard:
    """A sender of pictures, and what its far end was heard to say."""

    def __init__(self) -> None:
        self.peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.transceiver = self.peer.addTransceiver("video")
        self.sender = self.transceiver.sender
        self.keyframes = 0
        self.reports: list[tuple[int | None, float | None, float | None]] = []
        hear_feedback(self.sender, keyframe=self._keyframe, report=lambda *report: self.reports.append(report))

    def _keyframe(self) -> None:
        self.keyframes += 1


@pytest.fixture
async def heard() -> AsyncIterator[Heard]:
    heard = Heard()
    yield heard
    await heard.peer.close()


@pytest.mark.parametrize("fmt", [RTCP_PSFB_PLI, RTCP_PSFB_FIR])
async def test_a_request_for_a_key_frame_is_heard(heard: Heard, fmt: int) -> None:
    await heard.sender._handle_rtcp_packet(RtcpPsfbPacket(fmt=fmt, ssrc=1, media_ssrc=heard.sender._ssrc))
    assert heard.keyframes == 1


async def test_what_the_far_end_estimates_is_heard(heard: Heard) -> None:
    fci = pack_remb_fci(1_000_000, [heard.sender._ssrc])
    await heard.sender._handle_rtcp_packet(RtcpPsfbPacket(fmt=RTCP_PSFB_APP, ssrc=1, media_ssrc=0, fci=fci))
    ((bps, loss, rtt),) = heard.reports
    assert bps == pytest.approx(1_000_000, rel=0.01)
    assert (loss, rtt) == (None, None)


@pytest.mark.parametrize("fci", [b"", b"garbage!", pack_remb_fci(1_000_000, [12345])])
async def test_what_is_not_said_of_our_pictures_is_not_heard(heard: Heard, fci: bytes) -> None:
    await heard.sender._handle_rtcp_packet(RtcpPsfbPacket(fmt=RTCP_PSFB_APP, ssrc=1, media_ssrc=0, fci=fci))
    await heard.sender._handle_rtcp_packet(RtcpRrPacket(ssrc=1, reports=[loss_report(12345)]))
    assert heard.reports == []


def loss_report(ssrc: int, *, lost: int = 3, highest: int = 9) -> RtcpReceiverInfo:
    return RtcpReceiverInfo(
        ssrc=ssrc, fraction_lost=64, packets_lost=lost, highest_sequence=highest, jitter=0, lsr=0, dlsr=0
    )


async def test_loss_is_heard(heard: Heard, monkeypatch: pytest.MonkeyPatch) -> None:
    ssrc = heard.sender._ssrc
    monkeypatch.setattr("kiosk.media.aiortc_private.LOSS_WINDOW_S", 0.0)
    for report in (
        loss_report(ssrc),
        loss_report(ssrc, lost=8, highest=109),
        loss_report(ssrc, lost=8, highest=109),
    ):
        await heard.sender._handle_rtcp_packet(RtcpRrPacket(ssrc=1, reports=[report]))
    assert heard.reports == [(None, 0.05, None)], "of what has come since; the first and an idle one say nothing"


async def test_many_reports_at_once_are_one(heard: Heard) -> None:
    for lost in range(5):
        report = loss_report(heard.sender._ssrc, lost=lost, highest=lost + 9)
        await heard.sender._handle_rtcp_packet(RtcpRrPacket(ssrc=1, reports=[report]))
    assert heard.reports == [], "a handful of packets says nothing of a path"


async def test_the_codec_is_known_after_the_answer(heard: Heard) -> None:
    assert negotiated_codec(heard.transceiver) == ""
    far = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    try:
        await heard.peer.setLocalDescription(await heard.peer.createOffer())
        await far.setRemoteDescription(heard.peer.localDescription)
        await far.setLocalDescription(await far.createAnswer())
        await heard.peer.setRemoteDescription(far.localDescription)
        assert negotiated_codec(heard.transceiver) == "VP8"
    finally:
        await far.close()


async def test_only_the_senders_own_packets_are_paced(heard: Heard) -> None:
    sent: list[bytes] = []

    async def send(data: bytes) -> None:
        sent.append(data)

    transport = heard.sender.transport
    vars(transport).update(_send_rtp=send)
    pace(heard.sender, rate_bps=lambda: 1_000_000.0)
    ours, other = (bytes(8) + ssrc.to_bytes(4, "big") + bytes(1188) for ssrc in (heard.sender._ssrc, 12345))

    async def key_frame() -> None:
        for _ in range(3):
            await transport._send_rtp(ours)

    sending = asyncio.create_task(key_frame())
    await until(lambda: sent != [], "its first packet has left")
    await transport._send_rtp(other)
    assert not sending.done(), "another stream's packet does not wait behind a key frame"
    await sending
    assert sent.count(ours) == 3
    assert sent[-1] == ours


async def test_senders_of_one_picture_go_on_in_the_same_turn_of_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """However far apart they began to wait; the step is long enough for a busy machine to ask within it."""
    step = 0.5
    monkeypatch.setattr(aiortc_private, "PACE_STEP_S", step)
    loop = asyncio.get_running_loop()
    turns: list[int] = []
    turn = 0

    def count() -> None:
        nonlocal turn
        turn += 1
        counting[0] = loop.call_soon(count)

    counting = [loop.call_soon(count)]

    async def waits(seconds: float) -> None:
        await aiortc_private._beat(seconds)
        turns.append(turn)

    begin = (int(loop.time() / step) + 1) * step - loop.time()
    await asyncio.gather(*(waits(begin + share * step) for share in (0.05, 0.2, 0.35)))
    counting[0].cancel()
    assert len(set(turns)) == 1


async def test_a_sender_that_is_stopped_in_the_turn_it_would_go_on_in_leaves_no_error() -> None:
    loop = asyncio.get_running_loop()
    errors: list[object] = []
    loop.set_exception_handler(lambda loop, context: errors.append(context))
    step = aiortc_private.PACE_STEP_S
    when = (int(loop.time() / step) + 20) * step
    waiting = loop.create_task(aiortc_private._beat(when - step / 2 - loop.time()))
    loop.call_at(when, waiting.cancel)  # before the task has asked for the same time
    await asyncio.wait([waiting])
    await asyncio.sleep(0)  # what else was due in that turn has run
    loop.set_exception_handler(None)
    assert waiting.cancelled()
    assert errors == []


async def test_a_sender_takes_payloads_and_no_track_is_read(heard: Heard) -> None:
    """By the method that every sender of aiortc asks for what it sends next."""
    wanted = iter([((b"one", b"two"), 3000), ((b"three",), 6000)])

    async def following() -> tuple[tuple[bytes, ...], int]:
        return next(wanted)

    send_payloads(heard.sender, following)
    codec = RTCRtpCodecParameters(mimeType="video/H264", clockRate=90_000)
    first, second = [await heard.sender._next_encoded_frame(codec) for _ in range(2)]
    assert first is not None
    assert second is not None
    assert (first.payloads, first.timestamp) == ([b"one", b"two"], 3000)
    assert (second.payloads, second.timestamp) == ([b"three"], 6000)


async def test_a_sender_that_the_answer_has_disabled_sends_nothing(heard: Heard) -> None:
    async def following() -> tuple[tuple[bytes, ...], int]:
        return (b"one",), 3000

    send_payloads(heard.sender, following)
    heard.sender._enabled = False
    codec = RTCRtpCodecParameters(mimeType="video/H264", clockRate=90_000)
    assert await heard.sender._next_encoded_frame(codec) is None


@pytest.mark.parametrize("codec", ["H264", "VP8"])
def test_a_picture_is_packed_into_payloads_that_a_datagram_holds(codec: VideoCodec) -> None:
    encoder = SOFTWARE[codec](Shape(640, 368, 30, 2_000_000), 2_000_000)
    noise = np.random.default_rng(1).integers(0, 256, (368 * 3 // 2, 640), dtype=np.uint8)
    (picture,) = encoder.encode(av.VideoFrame.from_ndarray(noise, format="yuv420p"), pts=0)
    encoder.close()
    payloads = packer(codec)(picture.data)
    assert len(payloads) > 5
    assert max(map(len, payloads)) <= 1300
    assert len(picture.data) * 0.98 <= sum(map(len, payloads)) <= len(picture.data) * 1.05
