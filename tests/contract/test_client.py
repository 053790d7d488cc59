"""A bed's connection to its desk: it comes back by itself, whatever the desk does."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path

import msgspec
import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame

from kiosk.desk.listening import listen
from kiosk.errors import SettingsError
from kiosk.signaling import client, codec, desk_login
from kiosk.signaling import messages as wire
from kiosk.signaling.messages import ErrorCode
from tests.beds import ToldBed, bed_at, bed_connecting
from tests.desks import BED, RunningDesk, desk_running
from tests.waiting import until

LOGIN_OK = wire.LoginOk(user_id=BED, role="kiosk")
NESTED = '{"type":"ping","x":' + "[" * 30_000
FROM_KIOSK = codec.Decoder(wire.FromKiosk)


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits are short, so that a test need not sleep through them."""
    for name in ("FIRST_RETRY_S", "MAX_RETRY_S", "REFUSED_RETRY_S", "KICKED_RETRY_S"):
        monkeypatch.setattr(client, name, 0.02)


class OddDesk:
    """A desk that does as it likes. *behave* runs for each connection, after the login was read."""

    def __init__(self, behave: Callable[[OddDesk, ServerConnection], Awaitable[None]]) -> None:
        self._behave = behave
        self.logins: list[wire.Login] = []
        self.heard: list[wire.Message] = []
        self.url = ""

    async def meets(self, connection: ServerConnection) -> None:
        login = FROM_KIOSK.decode(await connection.recv())
        assert isinstance(login, wire.Login)
        self.logins.append(login)
        with contextlib.suppress(ConnectionClosed):
            await self._behave(self, connection)

    async def hears(self, connection: ServerConnection) -> None:
        """Listen and say nothing until the bed leaves."""
        async for text in connection:
            self.heard.append(FROM_KIOSK.decode(text))


@contextlib.asynccontextmanager
async def odd_desk(behave: Callable[[OddDesk, ServerConnection], Awaitable[None]]) -> AsyncIterator[OddDesk]:
    desk = OddDesk(behave)
    async with serve(desk.meets, "127.0.0.1", 0, close_timeout=0.1) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        desk.url = f"ws://127.0.0.1:{port}/ws"
        yield desk


async def say(connection: ServerConnection, *messages: wire.Message) -> None:
    for message in messages:
        await connection.send(codec.encode(message))


class Recorded(random.Random):
    """Chance that keeps what it was asked and always gives the longest wait, but sleeps none of it."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[float, float]] = []

    def uniform(self, a: float, b: float) -> float:
        self.asked.append((a, b))
        return 0.0


# -- with the real desk


async def test_a_bed_connects_and_its_snapshot_is_the_first_it_says(desk: RunningDesk) -> None:
    async with bed_connecting(desk) as bed:
        await bed.is_taken()
        assert bed.client.connected
        assert bed.ups[0].user_id == BED
        assert not bed.all_of(wire.Fault)


async def test_a_bed_waits_for_a_desk_that_is_not_there_yet(tmp_path: Path) -> None:
    with listen("127.0.0.1", 0, "port") as free:
        port = free.getsockname()[1]
    async with bed_at(f"ws://127.0.0.1:{port}/ws", user_sig=lambda: "ticket") as bed:
        await until(lambda: len(bed.downs) >= 2)
        assert not bed.client.connected
        async with desk_running(tmp_path, {"port": port}):
            await until(lambda: len(bed.refusals) >= 1, "the desk is reached and looks at the ticket")
        assert bed.refusals[0][0] == ErrorCode.SIG_MALFORMED


async def test_a_bed_comes_back_to_a_desk_that_was_restarted_and_tells_all_again(tmp_path: Path) -> None:
    async with contextlib.AsyncExitStack() as bed_of_two_desks:
        async with desk_running(tmp_path) as first:
            bed = await bed_of_two_desks.enter_async_context(bed_connecting(first))
            await bed.is_taken()
        await until(lambda: len(bed.downs) >= 1)
        assert not bed.client.connected
        assert not bed.client.send(wire.Pong())
        async with desk_running(tmp_path, {"port": first.port}) as second:
            await bed.is_taken()
            assert len(bed.ups) == 2
            assert second.server.relay.allocation.ledger.beds[BED].info.bed == "2"


async def test_a_refused_login_is_told_and_tried_again_with_a_fresh_ticket(desk: RunningDesk) -> None:
    tickets = [desk.ticket(BED, issued_at=1, ttl_s=1), "not a ticket"]
    async with bed_at(desk.ws_url, user_sig=lambda: tickets.pop(0) if tickets else desk.ticket(BED)) as bed:
        await bed.is_taken()
        assert [code for code, _ in bed.refusals] == [ErrorCode.SIG_EXPIRED, ErrorCode.SIG_MALFORMED]
        assert "expired" in bed.refusals[0][1]
        assert not bed.downs


async def test_a_ticket_that_cannot_be_read_is_told_as_a_refusal(desk: RunningDesk) -> None:
    faults = [SettingsError("usersig: there is no such file")]

    def user_sig() -> str:
        if faults:
            raise faults.pop()
        return desk.ticket(BED)

    async with bed_at(desk.ws_url, user_sig=user_sig) as bed:
        await bed.is_taken()
        assert bed.refusals == [(ErrorCode.SIG_MALFORMED, "usersig: there is no such file")]


async def test_a_bed_with_the_id_of_a_seat_is_refused_in_words(desk: RunningDesk) -> None:
    login = msgspec.structs.replace(LOGIN_OK, role="seat")

    async def thinks_it_is_a_seat(odd: OddDesk, connection: ServerConnection) -> None:
        await say(connection, login)

    async with odd_desk(thinks_it_is_a_seat) as odd, bed_at(odd.url) as bed:
        await until(lambda: len(bed.refusals) >= 1)
        assert bed.refusals[0] == (ErrorCode.NOT_ALLOWED, f"user id {BED!r} is a seat's, not a kiosk's")


async def test_a_bed_that_was_put_out_comes_back_only_when_the_other_has_gone(desk: RunningDesk) -> None:
    async with bed_connecting(desk) as bed:
        await bed.is_taken()
        other = await desk.logs_in(BED)
        await until(lambda: len(bed.kicks) == 1)
        await until(lambda: len(bed.refusals) >= 2, "it asks, and is told no")
        assert set(bed.refusals) == {(ErrorCode.NOT_ALLOWED, "this user is signed in elsewhere")}
        assert not other.all_of(wire.KickedOut)
        await other.socket.close()
        await bed.is_taken()
        assert len(bed.kicks) == 1


async def test_the_words_of_a_desk_that_closes_reach_the_bed(desk: RunningDesk) -> None:
    async with bed_connecting(desk) as bed:
        await bed.is_taken()
        for _ in range(20):
            bed.client.send(wire.Accept(call_id="1"))
        await until(lambda: len(bed.downs) == 1)
        assert bed.downs == ["it closed the connection: 'too many bad messages'"]


# -- with desks that misbehave


async def test_what_the_owner_says_while_it_makes_the_snapshot_does_not_go_before_it() -> None:
    async def listens(odd: OddDesk, connection: ServerConnection) -> None:
        await say(connection, LOGIN_OK)
        await odd.hears(connection)

    async with odd_desk(listens) as odd, bed_at(odd.url) as bed:
        bed.while_up = lambda: bed.client.send(wire.DeviceState(devices=wire.Devices()))
        await until(lambda: bed.client.connected)
        bed.client.send(wire.Hangup(call_id="1"))
        await until(lambda: len(odd.heard) == 2)
        assert [type(message) for message in odd.heard] == [wire.Snapshot, wire.Hangup]


async def test_a_message_that_is_never_acknowledged_drops_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "ACK_TIMEOUT_S", 0.05)

    async def listens(odd: OddDesk, connection: ServerConnection) -> None:
        await say(connection, LOGIN_OK)
        await odd.hears(connection)

    async with odd_desk(listens) as odd, bed_at(odd.url) as bed:
        await until(lambda: len(bed.ups) >= 2, "it connects anew")
        assert bed.downs[0] == "no answer within 0.05 s"
        assert isinstance(odd.heard[0], wire.Snapshot)


async def is_refused_once_more(bed: ToldBed) -> None:
    refused = len(bed.all_of(wire.Fault))
    assert bed.client.send(wire.DeviceState(id=bed.client.new_id(), devices=wire.Devices()))
    await until(lambda: len(bed.all_of(wire.Fault)) > refused)


async def test_a_message_that_is_refused_is_answered_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "ACK_TIMEOUT_S", 0.2)

    async def refuses(odd: OddDesk, connection: ServerConnection) -> None:
        await say(connection, LOGIN_OK)
        async for text in connection:
            message = FROM_KIOSK.decode(text)
            await say(connection, wire.Fault(id=message.id, code=ErrorCode.BAD_MESSAGE, message="no"))

    async with odd_desk(refuses) as odd, bed_at(odd.url) as bed:
        loop = asyncio.get_running_loop()
        end = loop.time() + 2 * client.ACK_TIMEOUT_S
        await until(lambda: bed.client.connected)
        while loop.time() < end:
            await is_refused_once_more(bed)
        assert not bed.downs


@pytest.mark.promise("R05")
async def test_a_desk_that_falls_silent_is_left() -> None:
    async def falls_silent(odd: OddDesk, connection: ServerConnection) -> None:
        await say(connection, msgspec.structs.replace(LOGIN_OK, heartbeat_ms=20))
        async for text in connection:
            await say(connection, wire.Ack(id=str(FROM_KIOSK.decode(text).id)))

    async with odd_desk(falls_silent) as odd, bed_at(odd.url) as bed:
        await until(lambda: len(bed.ups) >= 2, "it connects anew")
        assert bed.downs[0] == "it does not answer"


async def test_a_ping_is_answered_with_a_pong() -> None:
    async def pings(odd: OddDesk, connection: ServerConnection) -> None:
        await say(connection, LOGIN_OK, wire.Ping())
        await odd.hears(connection)

    async with odd_desk(pings) as odd, bed_at(odd.url) as bed:
        await until(lambda: wire.Pong() in odd.heard)
        assert not bed.all_of(wire.Ping)


@pytest.mark.parametrize("garbage", ["{", "", b"\x00\xff", '{"type":"sing"}', '{"type":"board"}', NESTED])
async def test_garbage_of_the_desk_is_logged_and_survived(
    garbage: str | bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async def raves(odd: OddDesk, connection: ServerConnection) -> None:
        await say(connection, LOGIN_OK)
        await connection.send(garbage)
        await say(connection, wire.RequestTaken(request_id="after"))
        await odd.hears(connection)

    async with odd_desk(raves) as odd, bed_at(odd.url) as bed:
        await until(lambda: len(bed.all_of(wire.RequestTaken)) == 1)
        assert "message of the desk not understood" in caplog.text
        assert not bed.downs


async def test_a_message_of_the_desk_beyond_all_measure_means_another_try() -> None:
    async def floods(odd: OddDesk, connection: ServerConnection) -> None:
        await say(connection, LOGIN_OK)
        await connection.send(" " * (wire.MAX_MESSAGE_BYTES + 1))
        await odd.hears(connection)

    async with odd_desk(floods) as odd, bed_at(odd.url) as bed:
        await until(lambda: len(bed.ups) >= 2)
        assert len(odd.logins) >= 2


@pytest.mark.parametrize(
    "answer",
    ["{", '{"type":"ping"}', '{"type":"kicked_out"}', NESTED, b"\xff"],
    ids=["half JSON", "a ping", "kicked out", "nested deeply", "binary"],
)
async def test_a_login_answered_with_something_else_is_tried_again(answer: str | bytes) -> None:
    async def raves(odd: OddDesk, connection: ServerConnection) -> None:
        await connection.send(answer)

    async with odd_desk(raves) as odd, bed_at(odd.url) as bed:
        await until(lambda: len(bed.downs) >= 2)
        assert len(odd.logins) >= 2
        assert not bed.ups


async def test_a_login_that_is_never_answered_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk_login, "LOGIN_TIMEOUT_S", 0.05)

    async def says_nothing(odd: OddDesk, connection: ServerConnection) -> None:
        await odd.hears(connection)

    async with odd_desk(says_nothing) as odd, bed_at(odd.url) as bed:
        await until(lambda: len(odd.logins) >= 2)
        assert bed.downs[0] == "it does not answer"


async def test_a_port_that_takes_the_connection_and_is_no_desk_is_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(desk_login, "CONNECT_TIMEOUT_S", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        async with bed_at(f"ws://127.0.0.1:{mute.getsockname()[1]}/ws") as bed:
            await until(lambda: len(bed.downs) >= 2)
            assert bed.downs[0] == "it does not answer"


async def test_a_desk_that_takes_no_messages_is_left_not_queued_for() -> None:
    async def listens(odd: OddDesk, connection: ServerConnection) -> None:
        await say(connection, LOGIN_OK)
        await odd.hears(connection)

    async with odd_desk(listens) as odd, bed_at(odd.url) as bed:
        await until(lambda: bed.client.connected)
        taken = 0
        while bed.client.send(wire.Hangup(call_id=str(taken))):
            taken += 1
            assert taken <= client.OUTBOX_LIMIT
        await until(lambda: len(bed.ups) >= 2, "it connects anew")
        assert bed.downs[0] == "the desk does not take our messages"


async def test_the_ticket_is_in_no_log(
    desk: RunningDesk, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setattr(Frame, "MAX_LOG_SIZE", wire.MAX_MESSAGE_BYTES)
    ticket = desk.ticket(BED)
    async with bed_at(desk.ws_url, user_sig=lambda: ticket) as bed:
        await bed.is_taken()
    for part in (ticket[:20], ticket[-20:]):
        assert part not in caplog.text


# -- how long it waits


async def waits_of(url: str, tries: int) -> Sequence[tuple[float, float]]:
    chance = Recorded()
    async with bed_at(url, chance=chance):
        await until(lambda: len(chance.asked) >= tries)
    return chance.asked[:tries]


@pytest.fixture
def unhurried(monkeypatch: pytest.MonkeyPatch, soon: None) -> None:
    """The product's own waits; :class:`Recorded` sleeps none of them."""
    for name, seconds in (
        ("FIRST_RETRY_S", 0.5),
        ("MAX_RETRY_S", 8.0),
        ("REFUSED_RETRY_S", 15.0),
        ("KICKED_RETRY_S", 2.0),
    ):
        monkeypatch.setattr(client, name, seconds)


@pytest.mark.promise("R18")
async def test_waits_grow_are_capped_and_are_spread_by_chance(unhurried: None) -> None:
    with listen("127.0.0.1", 0, "port") as free:
        port = free.getsockname()[1]
    waits = await waits_of(f"ws://127.0.0.1:{port}/ws", 7)
    assert [longest for _, longest in waits] == [0.5, 1, 2, 4, 8, 8, 8]
    assert all(shortest == longest / 2 for shortest, longest in waits)


async def test_waits_begin_anew_after_a_good_connection(unhurried: None) -> None:
    async def closes_after_a_while(odd: OddDesk, connection: ServerConnection) -> None:
        if len(odd.logins) == 4:
            await say(connection, LOGIN_OK)
            await connection.recv()

    async with odd_desk(closes_after_a_while) as odd:
        waits = await waits_of(odd.url, 5)
    assert [longest for _, longest in waits] == [0.5, 1, 2, 0.5, 1]


async def test_a_refused_ward_does_not_come_back_all_at_once(unhurried: None) -> None:
    async def refuses(odd: OddDesk, connection: ServerConnection) -> None:
        await say(connection, wire.Fault(code=ErrorCode.VERSION, message="no"))

    async with odd_desk(refuses) as odd:
        assert await waits_of(odd.url, 2) == [(7.5, 15), (7.5, 15)]


async def test_a_bed_that_was_put_out_asks_soon_and_if_refused_waits_long(unhurried: None) -> None:
    async def puts_out(odd: OddDesk, connection: ServerConnection) -> None:
        if odd.logins[-1].takeover:
            await say(connection, LOGIN_OK, wire.KickedOut())
            await odd.hears(connection)
        await say(connection, wire.Fault(code=ErrorCode.NOT_ALLOWED, message="signed in elsewhere"))

    async with odd_desk(puts_out) as odd:
        assert await waits_of(odd.url, 3) == [(1, 2), (7.5, 15), (7.5, 15)]
