"""The only file that touches names of aiortc and aioice that their authors did not promise.

``tests/contract/test_aiortc_private.py`` names each of them and fails in words when an upgrade has moved one.
Versions are pinned for the same reason.
"""

from __future__ import annotations

import asyncio
import math
import ssl
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Literal

import aioice.ice
import aioice.stun
import aioice.turn
import aiortc.clock
import aiortc.rtcrtpreceiver
import aiortc.rtcrtpsender
import av
from aiortc import RTCRtpCodecParameters, RTCRtpReceiver, RTCRtpSender, RTCRtpTransceiver
from aiortc.codecs import get_encoder
from aiortc.jitterbuffer import JitterBuffer, JitterFrame
from aiortc.mediastreams import VIDEO_CLOCK_RATE, VIDEO_TIME_BASE
from aiortc.rtcrtpsender import RTCEncodedFrame
from aiortc.rtp import RTCP_PSFB_APP, RtcpPsfbPacket, RtcpRrPacket, RtcpSrPacket, RtpPacket, unpack_remb_fci

from kiosk.errors import MediaError
from kiosk.media.ice_choice import Address
from kiosk.signaling.messages import IceServer

AUDIO_CAPACITY = 4
AUDIO_PREFETCH = 0
"""aiortc's own 16 / 4 adds 60 to 80 ms to every call and sticks at 300 ms after a lost packet (facts/media §4,
§9).
"""

RTP_HISTORY = 1024
"""Packets a sender keeps to repeat; a power of two, since it is an index modulo 16-bit numbers.

aiortc keeps 128. That was why encode-once H.264 stood still at 5 % loss: a key frame of 720p takes 85 to 150
packets at once, which pushes its own first packets out before the far end can ask for them. What is not repeated is
never decoded, and Chromium waits 3 s before it asks for another key frame, which meets the same end. Nearly all of
the other lost packets do come back, so the figures looked well. Measured at 5 % loss and 25 ms each way, 10 s, key
frames of 136 kB: with 128 packets 15 fps decoded, 5.8 s in gaps, the longest 2.3 s, 196 of 201 brought back; with
1024 30 fps. With key frames of 113 kB (92 packets) 128 hold, and 64 do not (0.6 fps). 1024 are 4 s at 2.5 Mb/s.
"""

LOSS_WINDOW_S = 1.0
PACE_STEP_S = 0.003
"""Packets go in steps this long: a timer for each would cost more than it brings."""
MAX_PACE_S = 0.1
"""A wrong rate must not stop the stream."""

Direction = Literal["in", "out"]
Tap = Callable[[RtpPacket], None]

SERVER_TIMEOUT_S = 1.0
"""What a STUN or TURN server may cost an offer; aioice's own is 5 s. Servers known not to answer are not even asked
(:mod:`kiosk.media.relays`)."""
PROBE_LIFETIME_S = 60
"""Of an allocation that is made to see whether a TURN server answers; it is given back at once."""

_data_received = aioice.Connection.data_received
_reflexive, _relayed = aioice.ice.server_reflexive_candidate, aioice.ice.relayed_candidate
_tls: Callable[[], ssl.SSLContext] = ssl.create_default_context


def offer_addresses(addresses: Callable[[], Sequence[str]]) -> None:
    """Gather candidates on *addresses* only, for every connection made from now on in this process.

    aioice takes every interface's address and never loopback; both are wrong for us: a virtual interface costs
    seconds, and tests and demo run on loopback. *addresses* is asked at each gathering, on the loop's thread,
    and returns IPv4 or IPv6 literals.
    """

    def get_host_addresses(use_ipv4: bool, use_ipv6: bool) -> list[str]:
        return [address for address in addresses() if (use_ipv6 if ":" in address else use_ipv4)]

    aioice.ice.get_host_addresses = get_host_addresses


def ignore_empty_datagrams() -> None:
    """Let no empty datagram end a connection that is made from now on in this process.

    aiortc's DTLS transport looks at the first byte of each, and ends where there is none. Anybody who can reach the
    socket can send one.
    """

    def data_received(connection: aioice.Connection, data: bytes, component: int) -> None:
        if data:
            _data_received(connection, data, component)

    vars(aioice.ice)["Connection"].data_received = data_received


def bound_servers(tls: Callable[[], ssl.SSLContext]) -> None:
    """Let no STUN or TURN server hold an offer up for more than ``SERVER_TIMEOUT_S``; *tls* is for ``turns:``.

    Holds for every connection made from now on in this process.
    """
    global _tls
    _tls = tls

    async def server_reflexive_candidate(*asked: Any) -> Any:
        async with asyncio.timeout(SERVER_TIMEOUT_S):
            return await _reflexive(*asked)

    async def relayed_candidate(**asked: Any) -> Any:
        if asked["turn_ssl"]:
            asked["turn_ssl"] = tls()
        async with asyncio.timeout(SERVER_TIMEOUT_S):
            return await _relayed(**asked)

    vars(aioice.ice).update(
        server_reflexive_candidate=server_reflexive_candidate, relayed_candidate=relayed_candidate
    )


async def server_answers(address: Address, server: IceServer) -> None:
    """Return when *server* has given what a call would ask of it; raise whatever went wrong.

    The caller sets a time-out.
    """
    if address.way == "stun":
        await _stun_answers(address)
        return
    transport, trying = await aioice.turn.create_turn_endpoint(
        _Trying,
        server_addr=(address.host, address.port),
        username=server.username or None,
        password=server.credential or None,
        lifetime=PROBE_LIFETIME_S,
        ssl=_tls() if address.way == "tls" else None,
        transport="udp" if address.way == "udp" else "tcp",
    )
    transport.close()
    await trying.given_back


class _Trying(asyncio.DatagramProtocol):
    """The user of an allocation that is only tried."""

    def __init__(self) -> None:
        self.given_back: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.given_back.done():
            self.given_back.set_result(None)


class _Asking(asyncio.DatagramProtocol):
    """Waits for the answer to one STUN request."""

    def __init__(self) -> None:
        self.answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        if not self.answered.done():
            self.answered.set_result(None)

    def error_received(self, exc: Exception) -> None:
        if not self.answered.done():
            self.answered.set_exception(exc)


async def _stun_answers(address: Address) -> None:
    remote = (address.host, address.port)
    transport, asking = await asyncio.get_running_loop().create_datagram_endpoint(_Asking, remote_addr=remote)
    try:
        request = aioice.stun.Message(
            message_method=aioice.stun.Method.BINDING, message_class=aioice.stun.Class.REQUEST
        )
        transport.sendto(bytes(request))
        await asking.answered
    finally:
        transport.close()


class ShortJitterBuffer(JitterBuffer):
    """aiortc's buffer, but short for audio and with a tap; video as it is.

    A packet comes here after its receiver has counted it for the RTCP reports. One that the tap takes goes no
    further: aiortc's decoder thread has nothing to do then but to end the track.
    """

    def __init__(self, capacity: int, prefetch: int = 0, is_video: bool = False) -> None:
        if not is_video:
            capacity, prefetch = AUDIO_CAPACITY, AUDIO_PREFETCH
        super().__init__(capacity, prefetch, is_video)
        self.tap: Tap | None = None

    def add(self, packet: RtpPacket) -> tuple[bool, JitterFrame | None]:
        """Give *packet* to the tap, or keep it as aiortc does."""
        if self.tap is None:
            return super().add(packet)
        self.tap(packet)
        return False, None


def shorten_audio_buffer() -> None:
    """Give every receiver made from now on a :class:`ShortJitterBuffer`."""
    vars(aiortc.rtcrtpreceiver)["JitterBuffer"] = ShortJitterBuffer


def keep_history() -> None:
    """Let every sender of this process keep ``RTP_HISTORY`` packets. Before the first is made."""
    vars(aiortc.rtcrtpsender)["RTP_HISTORY_SIZE"] = RTP_HISTORY


def steady_clock() -> None:
    """Let RTP's own time (abs-send-time, sender reports, arrivals) be the monotonic clock, for this process.

    Only differences of it are ever used, so it need not be that of the wall (RFC 3550 §4), and a wall clock that is
    set in mid-call disturbs no far end's estimate. aiortc builds two dates for each packet it sends, and one for
    each it gets, which is a tenth of its work.
    """
    vars(aiortc.clock).update(
        current_ntp_time=lambda: (time.monotonic_ns() << 32) // 1_000_000_000,
        current_ms=lambda: time.monotonic_ns() // 1_000_000,
    )


def hear_feedback(
    sender: RTCRtpSender,
    *,
    keyframe: Callable[[], None],
    report: Callable[[int | None, float | None, float | None], None],
) -> None:
    """Let *sender* tell what the far end says; in packet mode aiortc drops all of it.

    *keyframe*: PLI or FIR has come. *report*: what the far end estimates (REMB, bit/s), loss (0 to 1) and round
    trip (s), each None where this report does not speak of it. Both are called on the loop.
    """
    handled = sender._handle_rtcp_packet
    window = _LossWindow()

    async def handle(packet: Any) -> None:
        await handled(packet)
        if isinstance(packet, (RtcpRrPacket, RtcpSrPacket)):
            for one in packet.reports:
                loss = window.loss(one, time.monotonic()) if one.ssrc == sender._ssrc else None
                if loss is not None:
                    report(None, loss, await _round_trip_s(sender))
        elif isinstance(packet, RtcpPsfbPacket) and packet.fmt == RTCP_PSFB_APP:
            try:
                bps, ssrcs = unpack_remb_fci(packet.fci)
            except ValueError:
                return  # another application's message, or garbage
            if sender._ssrc in ssrcs:
                report(bps, None, None)

    vars(sender).update(_handle_rtcp_packet=handle, _send_keyframe=keyframe)


def send_payloads(sender: RTCRtpSender, following: Callable[[], Awaitable[tuple[Sequence[bytes], int]]]) -> None:
    """Let *sender* send what *following* gives, instead of what its track does: RTP payloads, and their RTP time.

    aiortc's packet mode packs each picture anew for each connection, and each packet takes its way through libav.
    """

    async def next_encoded_frame(codec: Any) -> RTCEncodedFrame | None:
        payloads, timestamp = await following()
        if not sender._enabled:
            return None
        return RTCEncodedFrame(list(payloads), timestamp, None)  # type: ignore[arg-type]  # no level, as aiortc's own

    vars(sender).update(_next_encoded_frame=next_encoded_frame)


def packer(codec: Literal["H264", "VP8"]) -> Callable[[bytes], tuple[bytes, ...]]:
    """What makes RTP payloads of an encoded picture (RFC 6184, RFC 7741)."""
    encoder = get_encoder(RTCRtpCodecParameters(mimeType=f"video/{codec}", clockRate=VIDEO_CLOCK_RATE))

    def pack(data: bytes) -> tuple[bytes, ...]:
        packet: av.Packet[Any] = av.Packet(data)
        packet.pts, packet.time_base = 0, VIDEO_TIME_BASE
        payloads, _ = encoder.pack(packet)
        return tuple(payloads)

    return pack


class _LossWindow:
    """The share that was lost, over ``LOSS_WINDOW_S`` or more.

    A report's own fraction is of the time since the report before. Chromium sends one with each NACK, so that it is
    of a handful of packets: a third of them may be lost on a good path.
    """

    def __init__(self) -> None:
        self._begun: tuple[float, int, int] | None = None

    def loss(self, report: Any, now: float) -> float | None:
        """0 to 1, or None while the window is open."""
        begun = self._begun
        if begun is not None and now - begun[0] < LOSS_WINDOW_S:
            return None
        self._begun = (now, report.highest_sequence, report.packets_lost)
        if begun is None:
            return None
        expected = report.highest_sequence - begun[1]
        lost = report.packets_lost - begun[2]
        return min(1.0, max(0.0, lost / expected)) if expected > 0 else None


async def _round_trip_s(sender: RTCRtpSender) -> float | None:
    for stats in (await sender.getStats()).values():
        if stats.type == "remote-inbound-rtp":
            seconds: float | None = stats.roundTripTime
            return seconds
    return None


def pace(sender: RTCRtpSender, *, rate_bps: Callable[[], float]) -> None:
    """Let *sender*'s packets leave at *rate_bps* at most; what it repeats (RTX) and others do not wait.

    aiortc sends a picture's packets back to back. Spread out, the far end's estimate of the path's jitter is that
    of the path: at 5 % loss and 25 ms 25 to 29 pictures a second were painted instead of 22 to 26, and the time in
    gaps was a third to a half (three pairs of runs on a busy machine). After the answer, when *sender* has its
    transport.
    """
    transport = sender.transport
    send = transport._send_rtp
    ssrc = sender._ssrc.to_bytes(4, "big")
    free_at = 0.0

    async def paced(data: bytes) -> None:
        nonlocal free_at
        await send(data)
        if data[8:12] == ssrc:
            # Afterwards: aiortc stamps a packet (abs-send-time) before it sends it, and one that waited in between
            # would look to the far end as if the path had held it up.
            now = time.monotonic()
            free_at = max(free_at, now - PACE_STEP_S) + 8 * len(data) / rate_bps()
            if free_at - now > PACE_STEP_S:
                await _beat(min(free_at - now, MAX_PACE_S))

    vars(transport).update(_send_rtp=paced)


async def _beat(seconds: float) -> None:
    """Wait *seconds*, and on to the next whole step of the loop's clock.

    So all senders of one picture go on in the same turn of the loop. Each alone would wake the process for a packet
    or two, which costs more than to send them.
    """
    loop = asyncio.get_running_loop()
    woken = asyncio.Event()  # may be set also after a sender was stopped in the same turn
    timer = loop.call_at(math.ceil((loop.time() + seconds) / PACE_STEP_S) * PACE_STEP_S, woken.set)
    try:
        await woken.wait()
    finally:
        timer.cancel()


def negotiated_codec(transceiver: RTCRtpTransceiver) -> str:
    """The name of the codec that both ends have chosen, such as ``H264``; empty before the answer."""
    codecs = transceiver._codecs
    return str(codecs[0].name) if codecs else ""


def tap_packets(receiver: RTCRtpReceiver, tap: Tap | None) -> None:
    """Give every RTP packet that *receiver* gets to *tap*, on the loop's thread, instead of to its decoder (None).

    Raises :exc:`MediaError` when the receiver was made before :func:`shorten_audio_buffer`.
    """
    for value in vars(receiver).values():
        if isinstance(value, ShortJitterBuffer):
            value.tap = tap
            return
    raise MediaError("the receiver has no buffer of ours: was the process prepared for media?")


def depayloaded(sequence: int, timestamp: int, payload: bytes) -> RtpPacket:
    """An Opus packet as a receiver gives it to its buffer, for benchmarks of the buffer."""
    packet = RtpPacket(sequence_number=sequence, timestamp=timestamp, payload=payload)
    vars(packet)["_data"] = payload
    return packet


def lose_datagrams(
    loses: Callable[[Direction], bool], *, delay_s: Callable[[Direction], float] = lambda direction: 0.0
) -> None:
    """Ask *loses* about every datagram of this process's media sockets, and drop those it wants dropped.

    The others pass after *delay_s* seconds, in their order as long as that stays the same. Everything goes through
    these three methods of aioice's socket: what arrives, what a connection sends (DTLS, RTP, RTCP), and STUN.
    """
    protocol = aioice.ice.StunProtocol
    received, sends, sends_stun = protocol.datagram_received, protocol.send_data, protocol.send_stun

    def later(self: Any, direction: Direction, act: Callable[[], None]) -> None:
        def unless_closed() -> None:
            if not self.transport.is_closing():
                act()

        asyncio.get_running_loop().call_later(delay_s(direction), unless_closed)

    def datagram_received(self: Any, data: bytes | str, addr: tuple[Any, ...]) -> None:
        if loses("in"):
            return
        if delay_s("in"):
            later(self, "in", lambda: received(self, data, addr))
        else:
            received(self, data, addr)

    async def send_data(self: Any, data: bytes, addr: tuple[str, int]) -> None:
        if loses("out"):
            return
        if delay_s("out"):
            later(self, "out", lambda: self.transport.sendto(data, addr))
        else:
            await sends(self, data, addr)

    def send_stun(self: Any, message: Any, addr: tuple[str, int]) -> None:
        if loses("out"):
            return
        if delay_s("out"):
            later(self, "out", lambda: sends_stun(self, message, addr))
        else:
            sends_stun(self, message, addr)

    vars_of = {"datagram_received": datagram_received, "send_data": send_data, "send_stun": send_stun}
    for name, function in vars_of.items():
        setattr(protocol, name, function)
