"""The only file that touches names of aiortc and aioice that their authors did not promise.

``tests/contract/test_aiortc_private.py`` names each of them and fails in words when an upgrade has moved one.
Versions are pinned for the same reason.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Sequence
from typing import Any, Literal

import aioice.ice
import aioice.stun
import aioice.turn
import aiortc.rtcrtpreceiver
from aiortc import RTCRtpReceiver
from aiortc.jitterbuffer import JitterBuffer, JitterFrame
from aiortc.rtp import RtpPacket

from kiosk.errors import MediaError
from kiosk.media.ice_choice import Address
from kiosk.signaling.messages import IceServer

AUDIO_CAPACITY = 4
AUDIO_PREFETCH = 0
"""aiortc's own 16 / 4 adds 60 to 80 ms to every call and sticks at 300 ms after a lost packet (facts/media §4,
§9).
"""

Direction = Literal["in", "out"]
Tap = Callable[[RtpPacket], None]

SERVER_TIMEOUT_S = 1.0
"""What a STUN or TURN server may cost an offer; aioice's own is 5 s. Servers known not to answer are not even asked
(:mod:`kiosk.media.relays`)."""
PROBE_LIFETIME_S = 60
"""Of an allocation that is made to see whether a TURN server answers; it is given back at once."""

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


def tap_packets(receiver: RTCRtpReceiver, tap: Tap) -> None:
    """Give every RTP packet that *receiver* gets to *tap*, on the loop's thread, instead of to its decoder.

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


def lose_datagrams(loses: Callable[[Direction], bool]) -> None:
    """Ask *loses* about every datagram of this process's media sockets, and drop those it wants dropped.

    Everything goes through these three methods of aioice's socket: what arrives, what a connection sends (DTLS,
    RTP, RTCP), and STUN.
    """
    protocol = aioice.ice.StunProtocol
    received, sends, sends_stun = protocol.datagram_received, protocol.send_data, protocol.send_stun

    def datagram_received(self: Any, data: bytes | str, addr: tuple[Any, ...]) -> None:
        if not loses("in"):
            received(self, data, addr)

    async def send_data(self: Any, data: bytes, addr: tuple[str, int]) -> None:
        if not loses("out"):
            await sends(self, data, addr)

    def send_stun(self: Any, message: Any, addr: tuple[str, int]) -> None:
        if not loses("out"):
            sends_stun(self, message, addr)

    vars_of = {"datagram_received": datagram_received, "send_data": send_data, "send_stun": send_stun}
    for name, function in vars_of.items():
        setattr(protocol, name, function)
