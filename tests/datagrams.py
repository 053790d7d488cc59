"""What the media sockets of this process send, told apart by its first bytes (RFC 7983, RFC 5761)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import aioice.ice
import pytest


def kind(datagram: bytes) -> str:
    """``stun``, ``dtls``, ``rtp``, ``rtcp`` or ``other``. SRTP and SRTCP leave these bytes as they are."""
    first = datagram[0] if datagram else 255
    if first <= 3:
        return "stun"
    if 20 <= first <= 63:
        return "dtls"
    if 64 <= first <= 79:
        return "turn channel"
    if 128 <= first <= 191 and len(datagram) > 1:
        return "rtcp" if 64 <= datagram[1] & 0x7F <= 95 else "rtp"
    return "other"


class Capture:
    """Counts what every media socket of this process sends from now on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.sent: Counter[str] = Counter()
        protocol = aioice.ice.StunProtocol
        sends: Callable[..., Any] = protocol.send_data
        sends_stun: Callable[..., Any] = protocol.send_stun

        async def send_data(own: Any, data: bytes, addr: tuple[str, int]) -> None:
            self.sent[kind(data)] += 1
            await sends(own, data, addr)

        def send_stun(own: Any, message: Any, addr: tuple[str, int]) -> None:
            self.sent["stun"] += 1
            sends_stun(own, message, addr)

        monkeypatch.setattr(protocol, "send_data", send_data)
        monkeypatch.setattr(protocol, "send_stun", send_stun)
