"""Who is let in at the desk's WebSocket, who is not and why, and what a second login does to the first."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any

import pytest

from kiosk.desk import server
from kiosk.signaling import codec
from kiosk.signaling import messages as wire
from kiosk.signaling.messages import ErrorCode
from tests.desks import BED, RunningDesk
from tests.waiting import HANG_S, until

HOUR_S = 3600


def now() -> int:
    return int(time.time())


async def test_a_kiosk_is_welcomed_and_told_what_it_must_know(desk: RunningDesk) -> None:
    peer = await desk.stranger()
    await peer.says(desk.login(BED, id="hello"))
    welcome = await peer.hears(wire.LoginOk)
    assert (welcome.id, welcome.user_id, welcome.role) == ("hello", BED, "kiosk")
    assert welcome.heartbeat_ms == 2500
    assert welcome.ring_timeout_ms == 30_000


async def test_a_user_of_the_seat_list_is_a_seat_and_sees_its_board(desk: RunningDesk) -> None:
    peer = await desk.stranger()
    await peer.says(desk.login("nurse-1"))
    welcome = await peer.hears(wire.LoginOk)
    assert (welcome.role, welcome.name) == ("seat", "Nurse Lin")
    assert (await peer.hears(wire.Board)).me.user_id == "nurse-1"


@pytest.mark.parametrize(
    ("claims", "code"),
    [
        ({"issued_at": now() - 2 * HOUR_S, "ttl_s": HOUR_S}, ErrorCode.SIG_EXPIRED),
        ({"issued_at": now() + HOUR_S}, ErrorCode.SIG_NOT_YET_VALID),
        ({"secret_key": "somebody else's"}, ErrorCode.SIG_FOREIGN),
        ({"sdk_app_id": 1400000001}, ErrorCode.SIG_FOREIGN),
    ],
    ids=["expired", "not yet valid", "another key", "another application"],
)
async def test_a_ticket_that_does_not_hold_is_refused_with_its_reason(
    desk: RunningDesk, claims: dict[str, Any], code: ErrorCode
) -> None:
    peer = await desk.stranger()
    await peer.says(desk.login(BED, user_sig=desk.ticket(BED, **claims)))
    fault = await peer.hears(wire.Fault)
    assert (fault.code, fault.field) == (code, "user_sig")
    assert await peer.is_closed() == (1008, code.value)


async def test_a_ticket_of_another_user_is_refused(desk: RunningDesk) -> None:
    peer = await desk.stranger()
    await peer.says(desk.login("nurse-1", user_sig=desk.ticket(BED)))
    fault = await peer.hears(wire.Fault)
    assert fault.code is ErrorCode.SIG_FOREIGN
    assert "'bed-301-2', not 'nurse-1'" in fault.message


async def test_a_login_to_another_application_is_refused(desk: RunningDesk) -> None:
    peer = await desk.stranger()
    await peer.says(desk.login(BED, sdk_app_id=7))
    assert (await peer.hears(wire.Fault)).code is ErrorCode.SIG_FOREIGN


@pytest.mark.parametrize("ticket", ["", "not a ticket", "eJw*", "ü" * 40])
async def test_what_is_no_ticket_at_all_is_refused(desk: RunningDesk, ticket: str) -> None:
    peer = await desk.stranger()
    await peer.says(desk.login(BED, user_sig=ticket))
    assert (await peer.hears(wire.Fault)).code is ErrorCode.SIG_MALFORMED


@pytest.mark.parametrize("user_id", ["", "bed 1", "bed/1", "床-1", "b" * 33, "bed-1\n"])
async def test_a_user_id_with_other_characters_is_refused_and_the_field_named(
    desk: RunningDesk, user_id: str
) -> None:
    peer = await desk.stranger()
    await peer.says(desk.login(BED, user_id=user_id))
    assert (await peer.hears(wire.Fault)).field == "user_id"


async def test_another_protocol_version_is_refused_and_ours_named(desk: RunningDesk) -> None:
    peer = await desk.stranger()
    await peer.says(desk.login(BED, version=2))
    fault = await peer.hears(wire.Fault)
    assert (fault.code, fault.field) == (ErrorCode.VERSION, "version")
    assert "version 1" in fault.message


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (codec.encode(wire.Pong()), ErrorCode.OUT_OF_ORDER),
        (codec.encode(wire.Hangup(call_id="1")), ErrorCode.OUT_OF_ORDER),
        ('{"type":"accept","call_id":"1"}', ErrorCode.UNKNOWN_TYPE),
        ("{", ErrorCode.BAD_MESSAGE),
        (b"\x00\xff", ErrorCode.BAD_MESSAGE),
        ('{"type":"login","x":' + "[" * 30_000, ErrorCode.BAD_MESSAGE),
        (" " * (wire.MAX_MESSAGE_BYTES + 1), ErrorCode.TOO_LARGE),
    ],
    ids=["pong", "hangup", "a seat's message", "half JSON", "binary", "nested deeply", "too large"],
)
async def test_whatever_comes_before_the_login_is_refused_in_words_and_ends_the_connection(
    desk: RunningDesk, said: str | bytes, code: ErrorCode
) -> None:
    peer = await desk.stranger()
    await peer.says(said)
    assert (await peer.hears(wire.Fault)).code is code
    assert await peer.is_closed() == (1008, code.value)


async def test_a_refused_login_is_answered_with_its_id(desk: RunningDesk) -> None:
    for login in (desk.login(BED, id="mine", user_sig=""), desk.login(BED, id="mine", user_id="bed 1")):
        peer = await desk.stranger()
        await peer.says(login)
        assert (await peer.hears(wire.Fault)).id == "mine"


async def test_the_log_says_who_was_refused(desk: RunningDesk, caplog: pytest.LogCaptureFixture) -> None:
    peer = await desk.stranger()
    await peer.says(desk.login(BED, user_sig=""))
    await peer.is_closed()
    assert "login of bed-301-2 from 127.0.0.1 refused: sig_malformed" in caplog.text


async def test_who_never_logs_in_is_shown_the_door(desk: RunningDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "LOGIN_TIMEOUT_S", 0.2)
    peer = await desk.stranger()
    fault = await peer.hears(wire.Fault)
    assert fault.message == "no login within 0.2 s"
    assert await peer.is_closed() == (1008, "out_of_order")


async def test_those_who_only_hold_a_place_make_room_for_a_kiosk(
    desk: RunningDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "MAX_STRANGERS", 3)
    monkeypatch.setattr(server, "FAIR_WAIT_S", 0.0)
    idlers = [await desk.stranger() for _ in range(3)]
    kiosk = await desk.logs_in(BED)
    assert (await idlers[0].is_closed())[0] == 1013
    assert isinstance(await kiosk.asks(wire.Pong()), wire.Ack)
    await idlers[2].says(desk.login("bed-302-1"))
    await idlers[2].hears(wire.LoginOk)


async def test_a_crowd_that_came_just_now_is_let_in_whole(
    desk: RunningDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "MAX_STRANGERS", 3)
    monkeypatch.setattr(server, "FAIR_WAIT_S", HANG_S)
    crowd = [await desk.stranger() for _ in range(8)]
    for number, kiosk in enumerate(crowd):
        await kiosk.says(desk.login(f"bed-{number}"))
        await kiosk.hears(wire.LoginOk)


async def test_leaving_in_the_middle_of_the_login_is_no_error(
    desk: RunningDesk, caplog: pytest.LogCaptureFixture
) -> None:
    for said in ("", "{", codec.encode(desk.login(BED)), " " * (server.MAX_WEBSOCKET_BYTES + 1)):
        peer = await desk.stranger()
        await peer.says("{")
        await peer.says(said)
        peer.socket.transport.abort()
    await desk.logs_in("nurse-1")
    await until(lambda: desk.server.relay.connected == 1, "only the nurse is left")
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


async def test_a_second_login_on_the_same_socket_is_refused_and_changes_nothing(desk: RunningDesk) -> None:
    kiosk = await desk.bed()
    answer = await kiosk.asks(desk.login("nurse-1"))
    assert isinstance(answer, wire.Fault)
    assert (answer.code, answer.field) == (ErrorCode.OUT_OF_ORDER, "type")
    assert isinstance(await kiosk.asks(wire.DeviceState(devices=wire.Devices())), wire.Ack)
    assert not desk.server.relay.is_connected("nurse-1")


async def test_a_newer_login_puts_out_the_older_one(desk: RunningDesk) -> None:
    older = await desk.seat("nurse-1")
    newer = await desk.logs_in("nurse-1")
    await older.hears(wire.KickedOut)
    assert await older.is_closed() == (1008, "kicked out")
    assert isinstance(await newer.asks(wire.SetSeatState(state="free")), wire.Ack)
    assert desk.server.relay.connected == 1


async def test_a_login_without_takeover_leaves_the_older_one_in(desk: RunningDesk) -> None:
    older = await desk.seat("nurse-1")
    newer = await desk.stranger()
    await newer.says(desk.login("nurse-1", takeover=False))
    fault = await newer.hears(wire.Fault)
    assert (fault.code, fault.field) == (ErrorCode.NOT_ALLOWED, "takeover")
    assert "signed in elsewhere" in fault.message
    assert isinstance(await older.asks(wire.SetSeatState(state="rest")), wire.Ack)


async def test_of_many_logins_at_once_the_last_one_stays(desk: RunningDesk) -> None:
    peers = [await desk.stranger() for _ in range(8)]
    await asyncio.gather(*(peer.says(desk.login("nurse-1")) for peer in peers))
    ends = [asyncio.create_task(peer.is_closed()) for peer in peers]
    await until(lambda: sum(end.done() for end in ends) == len(peers) - 1, "all but one are put out")
    (stays,) = (peer for peer, end in zip(peers, ends, strict=True) if not end.done())
    for end in ends:
        end.cancel()
    await asyncio.gather(*ends, return_exceptions=True)
    assert isinstance(await stays.asks(wire.SetSeatState(state="free")), wire.Ack)
    assert desk.server.relay.connected == 1
