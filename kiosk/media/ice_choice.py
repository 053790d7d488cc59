"""Which STUN and which TURN server a call uses, of those that are known.

Pure. aioice uses one of each. Of the ways to a TURN server UDP is the best, since media sent through TCP wait for
each lost packet; TCP passes where UDP is blocked, and TLS where only the web's ports are open. The first
that answers is taken, and none that does not: a call must not wait for a dead server.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec

from kiosk.signaling.messages import IceServer

_URL = re.compile(r"(stun|turns?):([^\s?:@]+)(?::([0-9]+))?(?:\?transport=(udp|tcp))?")
_PORTS = {"stun": 3478, "turn": 3478, "turns": 5349}

Way = Literal["stun", "udp", "tcp", "tls"]
ORDER: tuple[Way, ...] = ("stun", "udp", "tcp", "tls")


@dataclass(frozen=True)
class Address:
    """Where a server is, and how it is reached."""

    way: Way
    host: str
    port: int


def address_of(url: str) -> Address | None:
    """What *url* says; None when it says nothing that aioice can do (``turns:`` over UDP would be DTLS)."""
    parts = _URL.fullmatch(url)
    if parts is None:
        return None
    scheme, host, port, transport = parts.groups()
    way: Way
    match scheme, transport:
        case "stun", None:
            way = "stun"
        case "turn", "udp" | None:
            way = "udp"
        case "turn", "tcp":
            way = "tcp"
        case "turns", "tcp" | None:
            way = "tls"
        case _:
            return None
    return Address(way, host, int(port or _PORTS[scheme]))


def known(own: Sequence[str], from_desk: Sequence[IceServer]) -> tuple[IceServer, ...]:
    """The servers to choose from, best first: those of the bed's settings if any, with the desk's credentials."""
    servers = tuple(from_desk)
    if own:
        minted = next((server for server in from_desk if server.credential), IceServer(urls=""))
        servers = tuple(
            IceServer(urls=url) if url.startswith("stun:") else msgspec.structs.replace(minted, urls=url)
            for url in own
        )
    usable = [(address.way, server) for server in servers if (address := address_of(server.urls)) is not None]
    return tuple(server for _, server in sorted(usable, key=lambda one: ORDER.index(one[0])))


def for_a_call(servers: Sequence[IceServer], answers: Mapping[str, bool]) -> tuple[IceServer, ...]:
    """At most one STUN and one TURN server of *servers* (best first).

    *answers* says of a URL whether it has answered; one that was not asked yet is hoped for.
    """
    hopeful = [server for server in servers if answers.get(server.urls, True)]
    stun = [server for server in hopeful if server.urls.startswith("stun:")]
    turn = [server for server in hopeful if not server.urls.startswith("stun:")]
    return (*stun[:1], *turn[:1])
