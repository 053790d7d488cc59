"""What the desk says to bad, late and stolen messages; the request stays open through all of it."""

from __future__ import annotations

import json

import pytest

from kiosk.desk import peer_session, server
from kiosk.signaling import messages as wire
from kiosk.signaling.messages import CallType, ErrorCode
from tests.desks import BED, SDP, Peer, RunningDesk, help_wanted, invitation, ringing

OTHER_BED = "bed-302-1"
LOGIN_AGAIN = json.dumps({"type": "login", "user_id": "bed-1", "sdk_app_id": 1, "user_sig": "x"})


def bad_message(length: int) -> str:
    return json.dumps({"type": "hangup", "call_id": "1", "why": "x" * length})


@pytest.mark.parametrize(
    ("said", "code", "field"),
    [
        ("", ErrorCode.BAD_MESSAGE, ""),
        ("{", ErrorCode.BAD_MESSAGE, ""),
        ("[]", ErrorCode.BAD_MESSAGE, ""),
        ("null", ErrorCode.BAD_MESSAGE, ""),
        ('{"type":"hangup","call_id":"1","call_id":', ErrorCode.BAD_MESSAGE, ""),
        ("{}", ErrorCode.BAD_MESSAGE, "type"),
        ('{"type":7}', ErrorCode.BAD_MESSAGE, "type"),
        ('{"type":"sing"}', ErrorCode.UNKNOWN_TYPE, "type"),
        ('{"type":"accept","call_id":"1"}', ErrorCode.UNKNOWN_TYPE, "type"),
        ('{"type":"hangup"}', ErrorCode.BAD_MESSAGE, "call_id"),
        ('{"type":"hangup","call_id":7}', ErrorCode.BAD_MESSAGE, "call_id"),
        ('{"type":"hangup","call_id":"a b"}', ErrorCode.BAD_MESSAGE, "call_id"),
        ('{"type":"device_state","devices":{"camera":[]}}', ErrorCode.BAD_MESSAGE, "devices.camera"),
        ('{"type":"snapshot","bed":{"group":"ward","language":"fr"}}', ErrorCode.BAD_MESSAGE, "bed.language"),
        ('{"type":"snapshot","bed":{"group":"ward"},"closed":[{}]}', ErrorCode.BAD_MESSAGE, "closed[0].request_id"),
        ('{"type":"hangup","call_id":"1","x":' + "[" * 30_000, ErrorCode.BAD_MESSAGE, ""),
        (b"\x00\x01\xfe\xff" * 100, ErrorCode.BAD_MESSAGE, ""),
        (b'{"type":"hangup","call_id":"\xff"}', ErrorCode.BAD_MESSAGE, ""),
        (bad_message(wire.MAX_MESSAGE_BYTES), ErrorCode.TOO_LARGE, ""),
        (bad_message(wire.MAX_MESSAGE_BYTES // 3).replace("x", "护"), ErrorCode.TOO_LARGE, ""),
        (bad_message(server.MAX_WEBSOCKET_BYTES - 100), ErrorCode.TOO_LARGE, ""),
        (LOGIN_AGAIN, ErrorCode.OUT_OF_ORDER, "type"),
    ],
)
async def test_a_bad_message_is_answered_with_its_field_and_the_connection_survives(
    desk: RunningDesk, said: str | bytes, code: ErrorCode, field: str
) -> None:
    kiosk = await desk.bed()
    await kiosk.says(said)
    fault = await kiosk.hears(wire.Fault)
    assert (fault.code, fault.field) == (code, field)
    assert isinstance(await kiosk.asks(wire.DeviceState(devices=wire.Devices())), wire.Ack)


async def test_a_message_beyond_all_measure_closes_the_connection(desk: RunningDesk) -> None:
    kiosk = await desk.bed()
    await kiosk.says(bad_message(server.MAX_WEBSOCKET_BYTES))
    assert (await kiosk.is_closed())[0] == 1009


async def test_a_fault_repeats_little_of_what_it_complains_of(
    desk: RunningDesk, caplog: pytest.LogCaptureFixture
) -> None:
    kiosk = await desk.bed()
    await kiosk.says(json.dumps({"type": "\n\x1b[2J" + "x" * 60_000}))
    fault = await kiosk.hears(wire.Fault)
    assert fault.code is ErrorCode.UNKNOWN_TYPE
    assert len(fault.message) <= 200
    (logged,) = (record.getMessage() for record in caplog.records if "bad message" in record.getMessage())
    assert logged.isprintable()


async def test_a_message_with_an_id_is_acknowledged_with_it(desk: RunningDesk) -> None:
    kiosk, seat = await desk.bed(), await desk.seat()
    await kiosk.says(wire.Request(id="r-1", request=help_wanted()))
    assert (await kiosk.hears(wire.Ack)).id == "r-1"
    await seat.says(wire.SetSeatState(id="s-1", state="rest"))
    assert (await seat.hears(wire.Fault)).id == "s-1"
    await kiosk.says(wire.Pong(id="p-1"))
    assert (await kiosk.hears(wire.Ack)).id == "p-1"


async def test_a_bad_message_with_an_id_is_refused_with_it(desk: RunningDesk) -> None:
    kiosk = await desk.bed()
    for said in ('{"id":"b-1","type":"sing"}', '{"type":"hangup","call_id":7,"id":"b-1"}'):
        await kiosk.says(said)
        assert (await kiosk.hears(wire.Fault)).id == "b-1"
    await kiosk.says('{"id":"not a token","type":"sing"}')
    assert not isinstance((await kiosk.hears(wire.Fault)).id, str)


async def test_twenty_bad_messages_close_the_connection_with_a_clear_word(desk: RunningDesk) -> None:
    seat = await desk.seat()
    kiosk = await desk.bed(request=help_wanted())
    for _ in range(peer_session.MAX_BAD_MESSAGES):
        await kiosk.says("{")
    assert await kiosk.is_closed() == (1008, "too many bad messages")
    assert len(kiosk.all_of(wire.Fault)) == peer_session.MAX_BAD_MESSAGES + 1
    last = kiosk.all_of(wire.Fault)[-1]
    assert (last.code, last.message) == (ErrorCode.TOO_MANY, "20 bad messages: closing")
    await seat.sees(online=False, state="waiting")


async def test_fewer_bad_messages_do_not(desk: RunningDesk) -> None:
    kiosk = await desk.bed()
    for _ in range(peer_session.MAX_BAD_MESSAGES - 1):
        await kiosk.says("{")
    assert isinstance(await kiosk.asks(wire.DeviceState(devices=wire.Devices())), wire.Ack)
    assert len(kiosk.all_of(wire.Fault)) == peer_session.MAX_BAD_MESSAGES - 1


@pytest.mark.parametrize(
    "message",
    [
        wire.Request(request=help_wanted()),
        wire.CloseRequest(request_id="request-1", reason=wire.CloseReason.ATTENDED),
        wire.DeviceState(devices=wire.Devices()),
        wire.Hangup(call_id="1"),
        wire.Invite(call_id="1", fence=1, call_type=CallType.AUDIO, sdp=SDP),
    ],
    ids=lambda message: type(message).__name__,
)
async def test_a_kiosk_sends_its_snapshot_first(desk: RunningDesk, message: wire.Message) -> None:
    kiosk = await desk.logs_in(BED)
    answer = await kiosk.asks(message)
    assert isinstance(answer, wire.Fault)
    assert answer.code is ErrorCode.OUT_OF_ORDER
    assert "snapshot first" in answer.message
    assert isinstance(await kiosk.asks(wire.Snapshot(bed=wire.BedInfo(group="ward"))), wire.Ack)


async def refused(peer: Peer, message: wire.Message, code: ErrorCode) -> None:
    answer = await peer.asks(message)
    assert isinstance(answer, wire.Fault)
    assert answer.code is code


@pytest.mark.promise("R09")
async def test_a_second_invitation_of_a_call_is_refused_and_the_first_rings_on(desk: RunningDesk) -> None:
    seat, kiosk = await desk.seat(), await desk.bed()
    await kiosk.says(wire.Request(request=help_wanted()))
    invite = invitation(await kiosk.hears(wire.Allocated))
    await kiosk.says(invite)
    incoming = await seat.hears(wire.IncomingCall)
    await refused(kiosk, invite, ErrorCode.OUT_OF_ORDER)
    assert isinstance(await seat.asks(wire.Accept(call_id=incoming.call_id)), wire.Ack)
    assert len(seat.all_of(wire.IncomingCall)) == 1


async def test_an_answer_before_the_seat_rings_is_refused(desk: RunningDesk) -> None:
    seat, kiosk = await desk.seat(), await desk.bed()
    await kiosk.says(wire.Request(request=help_wanted()))
    allocated = await kiosk.hears(wire.Allocated)
    await refused(seat, wire.Answer(call_id=allocated.call_id, sdp=SDP), ErrorCode.STALE_CALL)
    await refused(seat, wire.Accept(call_id=allocated.call_id), ErrorCode.STALE_CALL)
    await kiosk.says(invitation(allocated))
    await seat.sees(state="ringing")


@pytest.mark.promise("R09")
async def test_a_stolen_or_outdated_fence_invites_nobody(desk: RunningDesk) -> None:
    seat, kiosk, thief = await desk.seat(), await desk.bed(), await desk.bed(OTHER_BED)
    await kiosk.says(wire.Request(request=help_wanted()))
    allocated = await kiosk.hears(wire.Allocated)
    await refused(thief, invitation(allocated), ErrorCode.STALE_CALL)
    await refused(kiosk, invitation(allocated, fence=allocated.fence - 1), ErrorCode.STALE_CALL)
    await kiosk.says(invitation(allocated))
    assert (await seat.hears(wire.IncomingCall)).request.bed_user == BED


@pytest.mark.promise("R09")
async def test_a_seat_that_accepts_twice_is_told_and_talks_on(desk: RunningDesk) -> None:
    seat, kiosk = await desk.seat(), await desk.bed()
    incoming = await ringing(kiosk, seat)
    assert isinstance(await seat.asks(wire.Accept(call_id=incoming.call_id)), wire.Ack)
    await refused(seat, wire.Accept(call_id=incoming.call_id), ErrorCode.OUT_OF_ORDER)
    await kiosk.hears(wire.Accepted)
    await seat.sees(state="talking")


@pytest.mark.promise("R09")
async def test_an_accept_after_the_kiosk_cancelled_is_refused_and_the_request_stays(desk: RunningDesk) -> None:
    seat, kiosk = await desk.seat(), await desk.bed()
    incoming = await ringing(kiosk, seat)
    await kiosk.says(wire.Cancel(call_id=incoming.call_id))
    await seat.hears(wire.CallEnded)
    await refused(seat, wire.Accept(call_id=incoming.call_id), ErrorCode.STALE_CALL)
    await seat.sees(state="waiting")


@pytest.mark.promise("R09")
async def test_a_seat_cannot_take_a_call_that_rings_elsewhere(desk: RunningDesk) -> None:
    seat, kiosk = await desk.seat("nurse-1"), await desk.bed()
    incoming = await ringing(kiosk, seat)
    thief = await desk.logs_in("nurse-2")
    for message in (
        wire.Accept(call_id=incoming.call_id),
        wire.Reject(call_id=incoming.call_id),
        wire.Answer(call_id=incoming.call_id, sdp=SDP),
        wire.MediaState(call_id=incoming.call_id, audio=True, video=True),
    ):
        await refused(thief, message, ErrorCode.STALE_CALL)
    await thief.says(wire.Hangup(call_id=incoming.call_id))
    await thief.says(wire.Candidate(call_id=incoming.call_id, candidate=""))
    assert isinstance(await seat.asks(wire.Accept(call_id=incoming.call_id)), wire.Ack)
    await kiosk.hears(wire.Accepted)
    assert not kiosk.all_of(wire.Answer)
    assert not kiosk.all_of(wire.Candidate)


async def test_a_bed_cannot_close_or_change_the_request_of_another(desk: RunningDesk) -> None:
    seat, thief = await desk.seat(), await desk.bed(OTHER_BED)
    await desk.bed(request=help_wanted())
    await refused(thief, wire.Request(request=help_wanted()), ErrorCode.NOT_ALLOWED)
    closes = wire.CloseRequest(request_id="request-1", reason=wire.CloseReason.ATTENDED)
    assert isinstance(await thief.asks(closes), wire.Ack)
    assert isinstance(await seat.asks(wire.Pong()), wire.Ack)
    assert desk.server.relay.allocation.ledger.requests["request-1"].bed == BED


@pytest.mark.promise("R01")
async def test_a_seat_is_told_that_it_may_not_close_a_request_nobody_spoke_about(desk: RunningDesk) -> None:
    seat = await desk.seat()
    await desk.bed(request=help_wanted())
    closes = wire.CloseRequest(request_id="request-1", reason=wire.CloseReason.CLOSED_BY_SEAT)
    await refused(seat, closes, ErrorCode.NOT_ALLOWED)
    assert "request-1" in desk.server.relay.allocation.ledger.requests
