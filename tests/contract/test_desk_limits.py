"""What a peer can cost the desk: silence, unread messages, held places, and faults of the desk itself."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NoReturn

import pytest
from websockets.frames import Frame, Opcode

from kiosk.desk import listening, peer, peer_session, relay, server
from kiosk.signaling import messages as wire
from tests.desks import BED, Peer, RunningDesk, desk_running, help_wanted, ringing
from tests.sockets import open_sockets
from tests.waiting import HANG_S, until

UPGRADE = (
    b"GET /ws HTTP/1.1\r\nhost: desk\r\nconnection: Upgrade\r\nupgrade: websocket\r\n"
    b"sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)
END_OF_HEAD = b"\r\n\r\n"
PINGS = Frame(Opcode.PING, b"." * 125).serialize(mask=True) * 500
LOTS_OF_BYTES = 256 * 1024 * 1024


@pytest.fixture
async def hasty_desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[RunningDesk]:
    """One that loses patience soon."""
    monkeypatch.setattr(peer_session, "HEARTBEAT_S", 0.1)
    monkeypatch.setattr(peer_session, "BEATS_UNANSWERED", 5)
    monkeypatch.setattr(peer, "SHUTDOWN_TIMEOUT_S", 0.2)
    monkeypatch.setattr(listening, "LINGER_S", 0.2)
    monkeypatch.setattr(listening, "HEAD_TIMEOUT_S", 0.2)
    async with desk_running(tmp_path / "desk-data") as running:
        yield running


def unread_socket(desk: RunningDesk) -> socket.socket:
    """A TCP connection that takes in as little as it can."""
    thin = socket.socket()
    thin.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    thin.connect(("127.0.0.1", desk.port))
    thin.setblocking(False)
    return thin


async def is_cut_off(reader: asyncio.StreamReader) -> bool:
    async with asyncio.timeout(HANG_S):
        try:
            return await reader.read() == b""
        except ConnectionError:
            return True


@pytest.mark.promise("R05")
async def test_a_silent_bed_is_gone_for_the_seats_but_its_request_stays(hasty_desk: RunningDesk) -> None:
    seat = await hasty_desk.seat()
    await seat.says(wire.SetSeatState(state="rest"))
    bed = await hasty_desk.bed(request=help_wanted())
    await seat.sees(online=True, state="waiting")
    await seat.sees(online=False, state="waiting")
    await bed.socket.wait_closed()
    assert bed.socket.close_reason == "silent"


async def test_a_silent_seat_loses_the_call_that_rings_and_the_next_seat_gets_it(hasty_desk: RunningDesk) -> None:
    bed, silent = await hasty_desk.bed(), await hasty_desk.seat("nurse-1")

    async def listens(peer: Peer) -> None:
        while True:
            await peer.hears(wire.Message)

    await ringing(bed, silent)
    other = asyncio.create_task(listens(await hasty_desk.seat("nurse-2")))
    again = await bed.hears(wire.Allocated)
    assert again.seat == "nurse-2"
    other.cancel()


async def test_a_peer_that_answers_pings_stays(hasty_desk: RunningDesk) -> None:
    bed = await hasty_desk.bed()
    for _ in range(10):
        await bed.hears(wire.Ping)
    assert hasty_desk.server.relay.is_connected(BED)


async def test_a_seat_that_does_not_read_is_closed_and_its_connection_freed(
    hasty_desk: RunningDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peer_session, "BEATS_UNANSWERED", HANG_S / peer_session.HEARTBEAT_S)
    bed = await hasty_desk.bed()
    before = open_sockets()
    stuck = await hasty_desk.stranger(sock=unread_socket(hasty_desk), max_queue=1)
    await stuck.says(hasty_desk.login("nurse-1"))
    await stuck.hears(wire.LoginOk)
    await stuck.says(wire.SetSeatState(state="free"))
    incoming = await ringing(bed, stuck)
    await stuck.says(wire.Accept(call_id=incoming.call_id))
    await bed.hears(wire.Accepted)
    chatter = wire.Candidate(call_id=incoming.call_id, candidate="." * 1000)
    said = 0
    while hasty_desk.server.relay.is_connected("nurse-1"):
        assert said < LOTS_OF_BYTES, "the desk keeps all of it"
        await bed.says(chatter)
        said += 1000
    await until(lambda: open_sockets() == before + 1, "only the stuck seat itself still holds its end")
    assert "request-1" in hasty_desk.server.relay.allocation.ledger.requests
    stuck.socket.transport.abort()


async def test_pings_without_a_login_do_not_fill_the_memory(
    hasty_desk: RunningDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "LOGIN_TIMEOUT_S", HANG_S)
    reader, writer = await asyncio.open_connection(sock=unread_socket(hasty_desk))

    async def flood() -> None:
        for _ in range(LOTS_OF_BYTES // len(PINGS)):
            writer.write(PINGS)
            await writer.drain()

    with contextlib.closing(writer):
        writer.write(UPGRADE)
        await reader.readuntil(END_OF_HEAD)
        with pytest.raises(ConnectionError):
            await asyncio.wait_for(flood(), HANG_S)


@pytest.mark.parametrize("said", [b"", b"GET / HT"], ids=["nothing", "half a head"])
@pytest.mark.parametrize("before", [b"", b"GET /healthz HTTP/1.1\r\nhost: desk\r\n\r\n"], ids=["new", "used"])
async def test_a_connection_that_never_finishes_asking_is_ended(
    hasty_desk: RunningDesk, before: bytes, said: bytes
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", hasty_desk.port)
    with contextlib.closing(writer):
        if before:
            writer.write(before)
            async with asyncio.timeout(HANG_S):
                await reader.readuntil(b"}")
        writer.write(said)
        assert await is_cut_off(reader)


async def test_a_websocket_outlives_the_limit_of_its_head(hasty_desk: RunningDesk) -> None:
    bed = await hasty_desk.bed()
    loop = asyncio.get_running_loop()
    end = loop.time() + 3 * listening.HEAD_TIMEOUT_S
    while loop.time() < end:
        await bed.hears(wire.Ping)
    assert isinstance(await bed.asks(wire.Pong()), wire.Ack)


async def test_a_connection_by_tls_that_has_ended_is_not_looked_at_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listening, "HEAD_TIMEOUT_S", 0.2)
    monkeypatch.setattr(peer_session, "HEARTBEAT_S", 0.1)
    wrong: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: wrong.append(context))
    async with desk_running(tmp_path / "desk-data", {"tls": "on"}) as desk:
        trusted = ssl.create_default_context(cafile=tmp_path / "desk-data" / "certificate.pem")
        gone, stays = await desk.stranger(ssl=trusted), await desk.stranger(ssl=trusted)
        await gone.says(desk.login("nurse-1"))
        await gone.hears(wire.LoginOk)
        await gone.socket.close()
        await stays.says(desk.login("nurse-2"))
        for _ in range(10):
            await stays.hears(wire.Ping)
    assert not wrong


async def test_a_fault_of_the_desk_itself_is_logged_and_ends_only_the_connection_it_met(
    desk: RunningDesk, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    seat, bed = await desk.seat(), await desk.bed(request=help_wanted())

    def fails(*arguments: object) -> NoReturn:
        raise RuntimeError("a rule with a hole")

    with monkeypatch.context() as patch:
        patch.setattr(relay.Relay, "said", fails)
        await bed.says(wire.Hangup(call_id="1"))
        assert await bed.is_closed() == (1011, "the desk failed")
    assert [record for record in caplog.records if record.levelno == logging.ERROR and record.exc_info]
    await seat.sees(online=False)
    assert isinstance(await seat.asks(wire.Pong()), wire.Ack)
