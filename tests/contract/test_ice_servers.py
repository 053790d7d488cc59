"""STUN and TURN servers of a real offer: used when they answer, and no delay when they do not."""

from __future__ import annotations

import asyncio
import re
import socket
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aioice.ice
import pytest

from kiosk.desk.turn_credentials import Mint
from kiosk.media import aiortc_private
from kiosk.media.call_devices import CallDevices
from kiosk.media.ice_choice import address_of
from kiosk.media.interfaces import LOOPBACK, prepare_media
from kiosk.media.relays import Relays
from kiosk.media.session import MediaSession
from kiosk.signaling.messages import CallType, IceServer
from tests.sockets import open_sockets
from tests.turn import SECRET, TurnServer, Way, free_port
from tests.waiting import until

WAYS: tuple[Way, ...] = ("udp", "tcp", "tls")


@pytest.fixture(autouse=True)
def aiortc_is_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("get_host_addresses", "relayed_candidate", "server_reflexive_candidate"):
        monkeypatch.setattr(aioice.ice, name, getattr(aioice.ice, name))


@pytest.fixture(autouse=True)
async def no_socket_is_left() -> AsyncIterator[None]:
    """aioice closes a connection on which it was refused, but does not wait for the goodbye that TLS then says."""
    before = open_sockets()
    yield
    await until(lambda: open_sockets() == before, "every socket is closed")


@pytest.fixture
def turn(tmp_path: Path) -> Iterator[TurnServer]:
    with TurnServer(tmp_path / "turn") as server:
        prepare_media([LOOPBACK], ca_file=server.ca_file)
        yield server


@pytest.fixture
def nobody() -> Iterator[str]:
    """The address of a server that takes what it is sent and says nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind((LOOPBACK, 0))
        yield f"{LOOPBACK}:{silent.getsockname()[1]}"


def minted(*urls: str, secret: str = SECRET, ago: float = 0.0) -> tuple[IceServer, ...]:
    return Mint(urls, 600.0, secret).servers("bed-301-2", now=round(time.time() - ago))


async def candidates(servers: tuple[IceServer, ...], *, relay_only: bool = False) -> list[str]:
    """The types of the candidates in an offer made with *servers*."""
    session = MediaSession(
        call_type=CallType.AUDIO,
        devices=CallDevices(camera=None, microphone=None, speaker=None, tell=lambda event: None),
        ice_servers=servers,
        on_event=lambda event: None,
        log_id="test",
        relay_only=relay_only,
    )
    try:
        return re.findall(r"a=candidate:.* typ (\S+)", await session.offer())
    finally:
        await session.close()


@pytest.mark.promise("R20")
@pytest.mark.parametrize("way", WAYS)
async def test_an_offer_holds_a_relayed_address_of_the_server(turn: TurnServer, way: Way) -> None:
    assert await candidates(minted(turn.url(way))) == ["host", "relay"]
    assert await candidates(minted(turn.url(way)), relay_only=True) == ["relay"]


async def test_a_tls_server_whose_certificate_is_not_the_hospitals_is_not_used(turn: TurnServer) -> None:
    prepare_media([LOOPBACK])
    assert await candidates(minted(turn.url("tls"))) == ["host"]


async def test_a_credential_that_has_run_out_or_is_wrong_gives_no_relay(turn: TurnServer) -> None:
    assert await candidates(minted(turn.url("udp"), ago=3600.0)) == ["host"]
    assert await candidates(minted(turn.url("udp"), secret="another")) == ["host"]


@pytest.mark.parametrize("scheme", ["stun", "turn"])
async def test_a_server_that_says_nothing_costs_the_offer_a_bounded_time(
    nobody: str, scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare_media([LOOPBACK])
    timeouts = []
    limit = asyncio.timeout

    def noted(seconds: float | None) -> asyncio.Timeout:
        timeouts.append(seconds)
        return limit(0.01 if seconds == aiortc_private.SERVER_TIMEOUT_S else seconds)

    monkeypatch.setattr(asyncio, "timeout", noted)
    assert await candidates(minted(f"{scheme}:{nobody}")) == ["host"]
    assert aiortc_private.SERVER_TIMEOUT_S in timeouts


@pytest.mark.parametrize("way", WAYS)
async def test_a_server_is_asked_for_what_a_call_would_ask(turn: TurnServer, way: Way) -> None:
    (server,) = minted(turn.url(way))
    address = address_of(server.urls)
    assert address is not None
    await aiortc_private.server_answers(address, server)
    (wrong,) = minted(turn.url(way), secret="another")
    with pytest.raises(Exception, match=r"401|Unauthorized"):
        await aiortc_private.server_answers(address, wrong)


async def test_stun_is_asked_too(turn: TurnServer) -> None:
    for url, answers in ((f"stun:{LOOPBACK}:{turn.port}", True), (f"stun:{LOOPBACK}:{free_port()}", False)):
        address = address_of(url)
        assert address is not None
        asking = aiortc_private.server_answers(address, IceServer(urls=url))
        if answers:
            await asking
        else:
            with pytest.raises(ConnectionRefusedError):
                await asking


async def test_a_bed_whose_udp_way_is_dead_offers_the_tcp_way(turn: TurnServer, nobody: str) -> None:
    eye = Relays(())
    watching = asyncio.create_task(eye.run())
    eye.take(minted(f"turn:{nobody}", turn.url("tcp"), turn.url("tls")))
    await until(lambda: [server.urls for server in eye.for_a_call()] == [turn.url("tcp")], "TCP is chosen")
    assert await candidates(eye.for_a_call()) == ["host", "relay"]
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
