"""The private names of aiortc and aioice that we touch. When an upgrade moved one, these tests say which.

If one fails: read the release notes, mend ``kiosk/media/aiortc_private.py``, then this file, then the pin in
``pyproject.toml``. A bed with the wrong one connects on the wrong interface or speaks a third of a second late.
"""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Callable
from typing import Any

import aioice.ice
import aioice.turn
import aiortc.clock
import aiortc.jitterbuffer
import aiortc.rtcrtpreceiver
import aiortc.rtcrtpsender
import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCRtpSender
from aiortc.jitterbuffer import JitterBuffer
from aiortc.mediastreams import AudioStreamTrack
from aiortc.rtcdtlstransport import RTCDtlsTransport
from aiortc.rtp import (
    RTP_HISTORY_SIZE,
    RtpPacket,
)
from aiortc.sdp import SessionDescription

from kiosk.errors import MediaError
from kiosk.media import aiortc_private
from kiosk.media.aiortc_private import (
    AUDIO_CAPACITY,
    AUDIO_PREFETCH,
    RTP_HISTORY,
    ShortJitterBuffer,
    depayloaded,
    keep_history,
    lose_datagrams,
    offer_addresses,
    shorten_audio_buffer,
    steady_clock,
    tap_packets,
)
from tests.waiting import until

LOOPBACK = "127.0.0.1"
MOST_FRAMES_LATE = 4
"""Of 20 ms each: the budget for received audio (design §6)."""


@pytest.fixture(autouse=True)
def aiortc_is_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """As imported, whatever other tests have patched; and again so at the end."""
    monkeypatch.setattr(aioice.ice, "get_host_addresses", aioice.ice.get_host_addresses)
    monkeypatch.setattr(aiortc.rtcrtpreceiver, "JitterBuffer", aiortc.jitterbuffer.JitterBuffer)
    monkeypatch.setattr(aiortc.rtcrtpsender, "RTP_HISTORY_SIZE", RTP_HISTORY_SIZE)
    monkeypatch.setattr(aioice.ice.Connection, "data_received", aiortc_private._data_received)
    for name in ("datagram_received", "send_data", "send_stun"):
        monkeypatch.setattr(aioice.ice.StunProtocol, name, getattr(aioice.ice.StunProtocol, name))


def named(module: Any, name: str) -> Any:
    assert hasattr(module, name), f"{module.__name__}.{name} is gone: aiortc_private.py patches it"
    return getattr(module, name)


def parameters(function: Callable[..., Any]) -> list[str]:
    return list(inspect.signature(function).parameters)


# -- the names


def test_aioice_asks_get_host_addresses_for_what_to_gather() -> None:
    function = named(aioice.ice, "get_host_addresses")
    assert parameters(function) == ["use_ipv4", "use_ipv6"], "aioice asks get_host_addresses something else now"
    assert "get_host_addresses" in aioice.Connection.gather_candidates.__code__.co_names, (
        "aioice.Connection.gather_candidates looks get_host_addresses up no more: our addresses are not used"
    )


def test_the_jitter_buffer_is_made_as_we_make_it() -> None:
    buffer = named(aiortc.jitterbuffer, "JitterBuffer")
    assert parameters(buffer) == ["capacity", "prefetch", "is_video"], "JitterBuffer takes other arguments now"


def test_a_receiver_looks_its_jitter_buffer_up_in_its_own_module() -> None:
    named(aiortc.rtcrtpreceiver, "JitterBuffer")
    assert "JitterBuffer" in aiortc.RTCRtpReceiver.__init__.__code__.co_names, (
        "RTCRtpReceiver makes its jitter buffer elsewhere: ours is not used"
    )


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("datagram_received", ["self", "data", "addr"]),
        ("send_data", ["self", "data", "addr"]),
        ("send_stun", ["self", "message", "addr"]),
    ],
)
def test_aioices_socket_is_used_by_these_methods(name: str, asked: list[str]) -> None:
    method = named(aioice.ice.StunProtocol, name)
    assert parameters(method) == asked, f"StunProtocol.{name} takes other arguments now"
    assert ("sendto" in method.__code__.co_names) == name.startswith("send"), f"StunProtocol.{name} sends otherwise"


def test_what_is_no_stun_goes_on_by_this_method() -> None:
    method = named(aioice.ice.Connection, "data_received")
    assert parameters(method) == ["self", "data", "component"], "Connection.data_received takes other arguments now"
    assert "data_received" in aioice.ice.StunProtocol.datagram_received.__code__.co_names, (
        "StunProtocol.datagram_received hands data on otherwise: an empty datagram ends a call"
    )


def test_nothing_else_of_aioices_socket_sends() -> None:
    methods = vars(aioice.ice.StunProtocol)
    written = {name: method for name, method in methods.items() if inspect.isfunction(method)}
    sending = {name for name, method in written.items() if "sendto" in method.__code__.co_names}
    assert sending == {"send_data", "send_stun"}, "there is another way out: simulated losses do not cover it"


def test_a_sender_looks_the_length_of_its_history_up_in_its_own_module() -> None:
    named(aiortc.rtcrtpsender, "RTP_HISTORY_SIZE")
    for method in (RTCRtpSender._run_rtp, RTCRtpSender._retransmit):
        assert "RTP_HISTORY_SIZE" in method.__code__.co_names, (
            f"RTCRtpSender.{method.__name__} finds its history otherwise: key frames cannot be repaired"
        )


@pytest.mark.parametrize(
    ("name", "asked"), [("_handle_rtcp_packet", ["self", "packet"]), ("_send_keyframe", ["self"])]
)
def test_a_sender_is_told_of_feedback_by_these_methods(name: str, asked: list[str]) -> None:
    assert parameters(named(RTCRtpSender, name)) == asked, f"RTCRtpSender.{name} takes other arguments now"


def test_a_sender_asks_for_a_key_frame_by_its_own_method() -> None:
    assert "_send_keyframe" in RTCRtpSender._handle_rtcp_packet.__code__.co_names, "PLI and FIR go elsewhere"


def test_a_sender_sends_its_packets_by_its_transport() -> None:
    for method in (RTCRtpSender._run_rtp, RTCRtpSender._retransmit):
        names = set(method.__code__.co_names)
        assert {"transport", "_send_rtp"} <= names, "packets leave otherwise: nothing is paced"


# -- what they do


def test_senders_keep_enough_for_a_key_frame() -> None:
    keep_history()
    assert vars(aiortc.rtcrtpsender)["RTP_HISTORY_SIZE"] == RTP_HISTORY
    assert 65536 % RTP_HISTORY == 0, "the index goes on evenly when the number wraps"


def test_rtps_time_goes_on_when_the_wall_clock_jumps(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the names that a sender and a transport ask."""
    for method, name in ((RTCRtpSender._run_rtp, "current_ntp_time"), (RTCDtlsTransport._recv_next, "current_ms")):
        assert {"clock", name} <= set(method.__code__.co_names), f"the time is not of clock.{name} any more"
        monkeypatch.setattr(aiortc.clock, name, getattr(aiortc.clock, name))
    now = [5_000_000_000]
    monkeypatch.setattr(time, "monotonic_ns", lambda: now[0])
    steady_clock()
    assert aiortc.clock.current_ntp_time() == 5 << 32
    assert aiortc.clock.current_ms() == 5000
    monkeypatch.setattr(time, "time", lambda: 0.0)
    now[0] += 250_000_000
    assert aiortc.clock.current_ntp_time() == (5 << 32) + (1 << 30)
    assert aiortc.clock.current_ms() == 5250


async def addresses_offered() -> set[str]:
    peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    try:
        peer.addTrack(AudioStreamTrack())
        await peer.setLocalDescription(await peer.createOffer())
        description = SessionDescription.parse(peer.localDescription.sdp)
        return {candidate.ip for media in description.media for candidate in media.ice_candidates}
    finally:
        await peer.close()


@pytest.mark.parametrize("addresses", [[LOOPBACK], ["127.0.0.2", "127.0.0.3"]])
async def test_an_offer_holds_the_given_addresses_and_no_others(addresses: list[str]) -> None:
    offer_addresses(lambda: addresses)
    assert await addresses_offered() == set(addresses)


async def test_the_addresses_are_asked_for_at_each_offer() -> None:
    now = ["127.0.0.2"]
    offer_addresses(lambda: now)
    assert await addresses_offered() == {"127.0.0.2"}
    now = ["127.0.0.3"]
    assert await addresses_offered() == {"127.0.0.3"}


async def buffer_of(kind: str) -> JitterBuffer:
    """The jitter buffer of a new receiver, under whatever private name it keeps it."""
    peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    try:
        kept = vars(peer.addTransceiver(kind).receiver).values()
        (buffer,) = (value for value in kept if isinstance(value, JitterBuffer))
        return buffer
    finally:
        await peer.close()


def sizes(buffer: JitterBuffer) -> tuple[int, int, bool]:
    return buffer.capacity, vars(buffer)["_prefetch"], vars(buffer)["_is_video"]


async def test_audio_is_received_through_a_short_buffer() -> None:
    assert sizes(await buffer_of("audio")) == (16, 4, False), "aiortc's own audio buffer changed: is ours needed?"
    shorten_audio_buffer()
    buffer = await buffer_of("audio")
    assert isinstance(buffer, ShortJitterBuffer)
    assert sizes(buffer) == (AUDIO_CAPACITY, AUDIO_PREFETCH, False)


async def test_video_keeps_the_buffer_of_aiortc() -> None:
    own = sizes(await buffer_of("video"))
    shorten_audio_buffer()
    assert sizes(await buffer_of("video")) == own == (512, 0, True)


def packet(sequence_number: int, timestamp: int) -> RtpPacket:
    return depayloaded(sequence_number, timestamp, b"opus")


def test_a_packet_reaches_the_buffer_after_it_was_counted_for_the_reports() -> None:
    function = named(aiortc.RTCRtpReceiver, "_handle_rtp_packet")
    names = function.__code__.co_names
    assert "_RTCRtpReceiver__remote_streams" in names, "RTCRtpReceiver counts what it receives elsewhere now"
    assert names.index("_RTCRtpReceiver__remote_streams") < names.index("_RTCRtpReceiver__jitter_buffer"), (
        "RTCRtpReceiver gives a packet to its buffer before it counts it: the RTCP reports miss what we tap"
    )


async def tapped(kind: str, packets: list[RtpPacket]) -> ShortJitterBuffer:
    peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    try:
        receiver = peer.addTransceiver(kind).receiver
        tap_packets(receiver, packets.append)
        (buffer,) = (value for value in vars(receiver).values() if isinstance(value, ShortJitterBuffer))
        return buffer
    finally:
        await peer.close()


async def test_a_tap_takes_every_packet_at_once_and_gives_the_decoder_none() -> None:
    shorten_audio_buffer()
    packets: list[RtpPacket] = []
    buffer = await tapped("audio", packets)
    given = [packet(7, 960), packet(5, 0), packet(5, 0)]
    assert [buffer.add(one) for one in given] == [(False, None)] * 3
    assert packets == given


async def test_a_receiver_that_was_made_before_cannot_be_tapped_and_says_so() -> None:
    with pytest.raises(MediaError, match="was the process prepared for media"):
        await tapped("audio", [])


def test_a_short_buffer_gives_a_frame_as_soon_as_the_next_one_begins() -> None:
    buffer = ShortJitterBuffer(capacity=16, prefetch=4)
    assert buffer.add(packet(0, 0)) == (False, None)
    _, frame = buffer.add(packet(1, 960))
    assert frame is not None
    assert frame.timestamp == 0


def test_a_short_buffer_stays_short_after_a_lost_packet() -> None:
    """aiortc's own sticks at 300 ms (facts/media §4, §9): ours must not."""
    buffer = ShortJitterBuffer(capacity=16, prefetch=4)
    given: dict[int, int] = {}
    for number in (0, 1, *range(3, 30)):
        _, frame = buffer.add(packet(number, number * 960))
        if frame is not None:
            given[number] = frame.timestamp // 960
    last, frame_number = max(given.items())
    assert last == 29
    assert last - frame_number <= MOST_FRAMES_LATE


async def test_late_datagrams_arrive_all_the_same() -> None:
    offer_addresses(lambda: [LOOPBACK])
    late: set[str] = set()

    def delay_s(direction: str) -> float:
        late.add(direction)
        return 0.005

    lose_datagrams(lambda direction: False, delay_s=delay_s)
    near, far = aioice.Connection(ice_controlling=True), aioice.Connection(ice_controlling=False)
    await meet(near, far)
    await asyncio.gather(near.connect(), far.connect())
    await near.send(b"hello")
    assert await far.recv() == b"hello"
    assert late == {"in", "out"}
    await asyncio.gather(near.close(), far.close())


@pytest.mark.parametrize("direction", ["in", "out"])
async def test_peers_whose_datagrams_are_lost_do_not_connect(direction: str) -> None:
    offer_addresses(lambda: [LOOPBACK])
    asked: set[str] = set()

    def loses(way: str) -> bool:
        asked.add(way)
        return way == direction

    lose_datagrams(loses)
    near, far = aioice.Connection(ice_controlling=True), aioice.Connection(ice_controlling=False)
    await meet(near, far)
    connecting = asyncio.gather(near.connect(), far.connect(), return_exceptions=True)
    await until(lambda: direction in asked, "a datagram was asked about")
    assert not connecting.done()
    connecting.cancel()
    await asyncio.gather(connecting, return_exceptions=True)
    await asyncio.gather(near.close(), far.close())


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("server_reflexive_candidate", ["protocol", "stun_server"]),
        (
            "relayed_candidate",
            [
                *("component", "hide_related_address", "protocol_factory", "turn_server"),
                *("turn_username", "turn_password", "turn_ssl", "turn_transport"),
            ],
        ),
    ],
)
def test_aioice_asks_servers_through_these_functions(name: str, asked: list[str]) -> None:
    function: Any = {
        "server_reflexive_candidate": aiortc_private._reflexive,
        "relayed_candidate": aiortc_private._relayed,
    }[name]
    named(aioice.ice, name)
    assert parameters(function) == asked, f"aioice.ice.{name} takes other arguments now"
    assert name in aioice.Connection.get_component_candidates.__code__.co_names, (
        f"aioice looks {name} up no more: a dead server would cost an offer 5 s"
    )


def test_a_turn_endpoint_is_made_as_we_make_it() -> None:
    made = parameters(named(aioice.turn, "create_turn_endpoint"))
    assert made[:4] == ["protocol_factory", "server_addr", "username", "password"]
    assert {"lifetime", "ssl", "transport"} <= set(made)


async def meet(near: aioice.Connection, far: aioice.Connection) -> None:
    """Each learns where the other is."""
    for one, other in ((near, far), (far, near)):
        await one.gather_candidates()
        other.remote_username, other.remote_password = one.local_username, one.local_password
        for candidate in one.local_candidates:
            await other.add_remote_candidate(candidate)
        await other.add_remote_candidate(None)
