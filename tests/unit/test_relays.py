"""The eye on the STUN and TURN servers: asked in the background, so that no call waits for a dead one."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator

import pytest

from kiosk.media import ice_choice, relays
from kiosk.media.relays import Relays
from kiosk.signaling.messages import IceServer
from tests.waiting import until

UDP, TCP, TLS, STUN = "turn:t:1", "turn:t:1?transport=tcp", "turns:t:2", "stun:s"


class Servers:
    """Those that answer, and how often each was asked."""

    def __init__(self) -> None:
        self.alive: set[str] = set()
        self.asked: list[str] = []
        self.silent: set[str] = set()

    async def asks(self, address: ice_choice.Address, server: IceServer) -> None:
        self.asked.append(server.urls)
        if server.urls in self.silent:
            await asyncio.Event().wait()
        if server.urls not in self.alive:
            raise ConnectionRefusedError("closed")


@pytest.fixture
def servers() -> Servers:
    return Servers()


@pytest.fixture
async def eye(servers: Servers) -> AsyncIterator[Relays]:
    eye = Relays((), asks=servers.asks)
    watching = asyncio.create_task(eye.run())
    yield eye
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)


def named(*urls: str) -> tuple[IceServer, ...]:
    return tuple(IceServer(urls=url, username="n", credential="p") for url in urls)


def used(eye: Relays) -> list[str]:
    return [server.urls for server in eye.for_a_call()]


async def test_before_the_first_answer_the_best_way_is_hoped_for(eye: Relays) -> None:
    assert used(eye) == []
    eye.take(named(TLS, UDP))
    assert used(eye) == [UDP]


async def test_where_udp_is_blocked_tcp_is_used_and_where_that_is_too_tls(eye: Relays, servers: Servers) -> None:
    servers.alive |= {TCP, TLS}
    eye.take(named(UDP, TCP, TLS))
    await until(lambda: used(eye) == [TCP])
    servers.alive.remove(TCP)
    eye.doubt()
    await until(lambda: used(eye) == [TLS])


async def test_a_server_that_says_nothing_is_given_up(
    eye: Relays, servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relays, "ANSWER_TIMEOUT_S", 0.01)
    servers.silent |= {UDP, STUN}
    eye.take(named(STUN, UDP))
    await until(lambda: used(eye) == [])


async def test_they_are_asked_again_and_a_server_that_is_back_is_used_again(
    eye: Relays, servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relays, "ASK_AGAIN_S", 0.01)
    eye.take(named(UDP))
    await until(lambda: used(eye) == [])
    servers.alive.add(UDP)
    await until(lambda: used(eye) == [UDP])


async def test_renewed_credentials_are_used_from_the_next_call_on(eye: Relays) -> None:
    eye.take(named(UDP))
    renewed = (IceServer(urls=UDP, username="later", credential="p2"),)
    eye.take(renewed)
    assert eye.for_a_call() == renewed


async def test_without_servers_nobody_is_asked(eye: Relays, servers: Servers) -> None:
    eye.take(())
    eye.doubt()
    await asyncio.sleep(0)
    assert servers.asked == []


async def test_a_change_is_logged_once_without_the_password(
    eye: Relays, servers: Servers, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    eye.take(named(UDP))
    for _ in range(3):
        asked = len(servers.asked)
        eye.doubt()
        await until(lambda asked=asked: len(servers.asked) > asked)  # type: ignore[misc]
    await until(lambda: used(eye) == [])
    told = [record.message for record in caplog.records if record.levelno >= logging.INFO]
    assert told == [f"x {UDP} does not answer; calls go without it"]
    assert "'p'" not in caplog.text
