"""The only file that touches names of aiortc and aioice that their authors did not promise.

``tests/contract/test_aiortc_private.py`` names each of them and fails in words when an upgrade has moved one.
Versions are pinned for the same reason.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import aioice.ice
import aiortc.rtcrtpreceiver
from aiortc import RTCRtpReceiver
from aiortc.jitterbuffer import JitterBuffer, JitterFrame
from aiortc.rtp import RtpPacket

from kiosk.errors import MediaError

AUDIO_CAPACITY = 4
AUDIO_PREFETCH = 0
"""aiortc's own 16 / 4 adds 60 to 80 ms to every call and sticks at 300 ms after a lost packet (facts/media §4,
§9).
"""

Direction = Literal["in", "out"]
Tap = Callable[[RtpPacket], None]


def offer_addresses(addresses: Callable[[], Sequence[str]]) -> None:
    """Gather candidates on *addresses* only, for every connection made from now on in this process.

    aioice takes every interface's address and never loopback; both are wrong for us: a virtual interface costs
    seconds, and tests and demo run on loopback. *addresses* is asked at each gathering, on the loop's thread,
    and returns IPv4 or IPv6 literals.
    """

    def get_host_addresses(use_ipv4: bool, use_ipv6: bool) -> list[str]:
        return [address for address in addresses() if (use_ipv6 if ":" in address else use_ipv4)]

    aioice.ice.get_host_addresses = get_host_addresses


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
