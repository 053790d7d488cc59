"""The desk's plain HTTP: sign-in, seat allocation for other clients, and what every answer carries."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from websockets.frames import Frame

from kiosk import usersig
from kiosk.desk import doors
from kiosk.desk.relay import Relay
from kiosk.settings import write_secret
from kiosk.signaling import codec
from kiosk.signaling import messages as wire
from tests.desks import BED, SDP, RunningDesk, desk_running, ringing

PASSPHRASE = "correct horse battery"


async def post(desk: RunningDesk, path: str, **body: Any) -> httpx.Response:
    async with desk.http() as http:
        return await http.post(path, json=body)


def fault(answer: httpx.Response) -> tuple[int, str, str]:
    said = answer.json()["error"]
    assert said["message"]
    return answer.status_code, said["code"], said["field"]


def asking(desk: RunningDesk, user_id: str = "sip-phone", **more: Any) -> dict[str, Any]:
    """What a client of the plain door says of itself."""
    app = desk.server.settings.sdk_app_id
    return {"userID": user_id, "sdkAppID": app, "userSig": desk.ticket(user_id), **more}


async def test_a_nurse_signs_in_with_her_passphrase_and_the_ticket_logs_her_in(desk: RunningDesk) -> None:
    desk.server.registry.set_passphrase("nurse-1", PASSPHRASE)
    answer = await post(desk, "/api/sign-in", userID="nurse-1", passphrase=PASSPHRASE)
    ticket = answer.json()
    assert (answer.status_code, ticket["userID"], ticket["name"]) == (200, "nurse-1", "Nurse Lin")
    assert ticket["expiresAt"] > time.time()
    seat = await desk.stranger()
    await seat.says(desk.login("nurse-1", sdk_app_id=ticket["sdkAppID"], user_sig=ticket["userSig"]))
    assert (await seat.hears(wire.LoginOk)).role == "seat"


async def test_a_wrong_passphrase_and_an_unknown_user_get_the_same_answer(desk: RunningDesk) -> None:
    desk.server.registry.set_passphrase("nurse-1", PASSPHRASE)
    wrong = await post(desk, "/api/sign-in", userID="nurse-1", passphrase="wrong")
    unknown = await post(desk, "/api/sign-in", userID="nobody", passphrase=PASSPHRASE)
    assert fault(wrong) == (403, "not_allowed", "")
    assert wrong.content == unknown.content


async def test_after_some_wrong_passphrases_the_next_has_to_wait(
    desk: RunningDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    # On a busy machine the second that it has to wait would be over.
    monkeypatch.setattr(doors, "time", SimpleNamespace(time=time.time, monotonic=lambda: 100.0))
    desk.server.registry.set_passphrase("nurse-1", PASSPHRASE)
    for _ in range(5):
        answer = await post(desk, "/api/sign-in", userID="nurse-1", passphrase="wrong")
        assert fault(answer) == (403, "not_allowed", "")
    answer = await post(desk, "/api/sign-in", userID="nurse-1", passphrase=PASSPHRASE)
    assert fault(answer) == (429, "too_many", "")
    assert "try again in 1 s" in answer.text


async def test_a_code_opens_the_seat_page_once(desk: RunningDesk) -> None:
    code = desk.server.registry.make_code("nurse-1", now=int(time.time()))
    assert (await post(desk, "/api/sign-in", code=code)).json()["userID"] == "nurse-1"
    assert fault(await post(desk, "/api/sign-in", code=code)) == (403, "not_allowed", "")


async def test_an_expired_code_opens_nothing(desk: RunningDesk) -> None:
    code = desk.server.registry.make_code("nurse-1", now=int(time.time()) - 3600)
    assert fault(await post(desk, "/api/sign-in", code=code)) == (403, "not_allowed", "")


async def test_whoever_guesses_passphrases_leaves_room_for_the_others(
    desk: RunningDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = desk.server.registry.make_code("nurse-1", now=int(time.time()))
    guesses = doors.MAX_WAITING_PER_ADDRESS * 3
    answers = await asyncio.gather(
        post(desk, "/api/sign-in", code=code),
        *(post(desk, "/api/sign-in", userID=f"nobody-{number}", passphrase="wrong") for number in range(guesses)),
    )
    codes = [answer.status_code for answer in answers]
    assert codes[0] == 200
    assert codes.count(429) > 0
    assert codes.count(403) >= doors.MAX_WAITING_PER_ADDRESS
    last = await post(desk, "/api/sign-in", userID="nobody", passphrase="wrong")
    assert last.status_code == 403


async def test_calls_go_on_while_passphrases_are_checked(desk: RunningDesk) -> None:
    bed, seat = await desk.bed(), await desk.seat()
    guess = asyncio.gather(
        *(post(desk, "/api/sign-in", userID=f"nobody-{number}", passphrase="wrong") for number in range(4))
    )
    incoming = await ringing(bed, seat)
    assert isinstance(await seat.asks(wire.Accept(call_id=incoming.call_id)), wire.Ack)
    assert not guess.done()
    await guess


async def test_sign_in_secrets_that_cannot_be_read_are_a_fault_in_words(
    desk: RunningDesk, caplog: pytest.LogCaptureFixture
) -> None:
    path = desk.folder / "passphrases"
    write_secret(path, "{")
    answer = await post(desk, "/api/sign-in", userID="nurse-1", passphrase=PASSPHRASE)
    assert fault(answer) == (503, "unavailable", "")
    assert str(path) not in answer.text
    assert f"{path}: damaged" in caplog.text
    assert "Traceback" not in caplog.text


@pytest.mark.parametrize("path", ["/api/sign-in", "/api/allocate", "/api/release"])
@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", (400, "bad_message", "")),
        (b"{", (400, "bad_message", "")),
        (b"[]", (400, "bad_message", "")),
        (b'{"userID":7}', (400, "bad_message", "userID")),
        (b'{"userID":"\xff"}', (400, "bad_message", "")),
        (b'{"x":' + b"[" * 10_000, (400, "bad_message", "")),
        (b'"' + b"x" * doors.MAX_BODY_BYTES + b'"', (413, "too_large", "")),
    ],
    ids=["nothing", "half JSON", "a list", "a number", "no UTF-8", "nested deeply", "too large"],
)
async def test_a_bad_body_is_refused_in_words(
    desk: RunningDesk, caplog: pytest.LogCaptureFixture, path: str, body: bytes, expected: tuple[int, str, str]
) -> None:
    async with desk.http() as http:
        assert fault(await http.post(path, content=body)) == expected
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


async def test_a_body_that_never_comes_is_not_waited_for(
    desk: RunningDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doors, "BODY_TIMEOUT_S", 0.1)
    reader, writer = await asyncio.open_connection("127.0.0.1", desk.port)
    with contextlib.closing(writer):
        writer.write(b"POST /api/sign-in HTTP/1.1\r\nhost: desk\r\ncontent-length: 10\r\n\r\n")
        assert b"400" in await reader.readline()


async def test_a_client_is_given_a_free_seat_and_a_ticket_of_its_own(desk: RunningDesk) -> None:
    await desk.seat()
    answer = await post(desk, "/api/allocate", **asking(desk))
    given = answer.json()
    assert (answer.status_code, given["userID"]) == (200, "nurse-1")
    assert given["sdkAppID"] == desk.server.settings.sdk_app_id
    claims = usersig.verify(
        given["userSig"],
        user_id="sip-phone",
        sdk_app_id=given["sdkAppID"],
        secret_key=desk.secret_key,
        now=int(time.time()),
    )
    assert claims.user_id == "sip-phone"
    assert 0 <= given["expiresAt"] - time.time() <= 30


async def test_the_named_seat_is_preferred_when_it_is_free(desk: RunningDesk) -> None:
    await desk.seat("nurse-1")
    await desk.seat("nurse-2")
    answer = await post(desk, "/api/allocate", **asking(desk, seat="nurse-2"))
    assert answer.json()["userID"] == "nurse-2"


async def test_all_busy_is_said_when_no_seat_is_free(desk: RunningDesk) -> None:
    assert fault(await post(desk, "/api/allocate", **asking(desk))) == (409, "busy", "")
    await desk.seat()
    assert (await post(desk, "/api/allocate", **asking(desk))).status_code == 200
    assert fault(await post(desk, "/api/allocate", **asking(desk, "sip-2"))) == (409, "busy", "")
    assert fault(await post(desk, "/api/allocate", **asking(desk, "sip-2", group="other"))) == (409, "busy", "")


async def test_a_reserved_seat_does_not_ring_for_a_bed_until_it_is_given_back(desk: RunningDesk) -> None:
    seat, bed = await desk.seat(), await desk.bed()
    given = (await post(desk, "/api/allocate", **asking(desk))).json()
    release = asking(desk, callID=given["callID"])
    assert isinstance(await bed.asks(wire.Request(request=wire.OpenRequest(request_id="r", age=0))), wire.Ack)
    assert not bed.all_of(wire.Allocated)
    for _ in range(2):
        answer = await post(desk, "/api/release", **release)
        assert (answer.status_code, answer.content) == (204, b"")
    assert (await bed.hears(wire.Allocated)).seat == "nurse-1"
    await seat.sees(request_id="r", state="ringing")


async def test_a_reservation_cannot_be_given_back_by_another(desk: RunningDesk) -> None:
    await desk.seat()
    given = (await post(desk, "/api/allocate", **asking(desk))).json()
    await post(desk, "/api/release", **asking(desk, "thief", callID=given["callID"]))
    assert fault(await post(desk, "/api/allocate", **asking(desk, "thief"))) == (409, "busy", "")


async def test_a_reservation_shows_where_its_client_asks_from_now(desk: RunningDesk) -> None:
    seat = await desk.seat()
    for room in ("301", "302"):
        await post(desk, "/api/allocate", **asking(desk, room=room))
        await seat.sees(room=room, state="ringing")


async def test_a_client_of_the_plain_door_is_no_bed_before_its_snapshot(desk: RunningDesk) -> None:
    await desk.seat()
    await post(desk, "/api/allocate", **asking(desk))
    client = await desk.logs_in("sip-phone")
    answer = await client.asks(wire.Request(request=wire.OpenRequest(request_id="r", age=0)))
    assert isinstance(answer, wire.Fault)
    assert answer.code is wire.ErrorCode.OUT_OF_ORDER


async def test_a_reservation_ends_with_the_ring_time_out(tmp_path: Path) -> None:
    async with desk_running(tmp_path, {"ring_timeout": 0.1}) as desk:
        await desk.seat()
        bed = await desk.bed()
        await post(desk, "/api/allocate", **asking(desk))
        await bed.says(wire.Request(request=wire.OpenRequest(request_id="r", age=0)))
        assert (await bed.hears(wire.Allocated)).seat == "nurse-1"


async def test_a_seat_cannot_ask_for_a_seat(desk: RunningDesk) -> None:
    await desk.seat("nurse-2")
    assert fault(await post(desk, "/api/allocate", **asking(desk, "nurse-1"))) == (403, "not_allowed", "")


async def test_a_client_with_a_bad_ticket_is_told_why(desk: RunningDesk) -> None:
    await desk.seat()
    for change, code in (
        ({"userSig": desk.ticket("other")}, "sig_foreign"),
        ({"userSig": desk.ticket("sip-phone", issued_at=1, ttl_s=1)}, "sig_expired"),
        ({"sdkAppID": 7}, "sig_foreign"),
        ({"userID": "sip phone"}, "bad_user_id"),
    ):
        for path in ("/api/allocate", "/api/release"):
            answer = await post(desk, path, **{**asking(desk, callID="1"), **change})
            assert fault(answer)[:2] == (403, code)


async def test_the_desk_says_that_it_lives(desk: RunningDesk) -> None:
    await desk.bed()
    async with desk.http() as http:
        assert (await http.get("/healthz")).json() == {"ok": True, "connected": 1, "history_fault": ""}


async def test_every_answer_carries_the_security_headers(
    desk: RunningDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*arguments: object) -> None:
        raise RuntimeError("a rule with a hole")

    monkeypatch.setattr(Relay, "handle", fails)
    expected = {200: "/", 404: "/nothing", 405: "/api/sign-in"}
    async with desk.http() as http:
        answers = [await http.get(path) for path in (*expected.values(), "/page/app.js", "/healthz")]
        answers.append(await http.post("/api/sign-in", content=b"{"))
        with monkeypatch.context() as quiet:
            quiet.setattr(logging.getLogger("uvicorn.error"), "disabled", True)
            answers.append(await http.post("/api/allocate", json=asking(desk)))
    assert [answer.status_code for answer in answers] == [*expected, 200, 200, 400, 500]
    for answer in answers:
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert "geolocation=()" in answer.headers["permissions-policy"]
        assert answer.headers["cache-control"] in ("no-cache", "no-store")
        assert "server" not in answer.headers


async def test_a_ticket_is_kept_in_no_cache(desk: RunningDesk) -> None:
    code = desk.server.registry.make_code("nurse-1", now=int(time.time()))
    answer = await post(desk, "/api/sign-in", code=code)
    assert answer.headers.get_list("cache-control") == ["no-store"]


async def test_nothing_outside_the_page_is_served(desk: RunningDesk) -> None:
    async with desk.http() as http:
        for path in ("/page/../server.py", "/page/%2e%2e/server.py", "/page//etc/passwd", "/page/", "/page"):
            assert (await http.get(path, follow_redirects=True)).status_code == 404


async def test_no_secret_is_in_the_log_of_a_whole_history(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setattr(Frame, "MAX_LOG_SIZE", wire.MAX_MESSAGE_BYTES)
    async with desk_running(tmp_path / "desk-data") as desk:
        registry = desk.server.registry
        registry.set_passphrase("nurse-1", PASSPHRASE)
        code = registry.make_code("nurse-2", now=int(time.time()))
        tickets = [desk.ticket(BED), desk.ticket("nurse-1", issued_at=1, ttl_s=1), desk.ticket("nurse-2")]
        for body in (
            {"userID": "nurse-1", "passphrase": PASSPHRASE},
            {"userID": "nurse-1", "passphrase": PASSPHRASE + "!"},
            {"userID": "nurse-1", "passphrase": [PASSPHRASE]},
            {"code": code},
            {"code": code},
        ):
            answer = await post(desk, "/api/sign-in", **body)
            tickets += [answer.json()["userSig"]] if answer.is_success else []
        for user_id, ticket in (("nurse-1", tickets[1]), (BED, tickets[2])):
            refused = await desk.stranger()
            await refused.says(desk.login(user_id, user_sig=ticket))
            await refused.is_closed()
        bad = await desk.stranger()
        await bad.says(codec.encode(desk.login(BED, user_sig=tickets[0])).replace('"login"', '"logon"'))
        await bad.is_closed()
        seat, bed = await desk.seat(), await desk.bed()
        incoming = await ringing(bed, seat)
        await seat.says(wire.Answer(call_id=incoming.call_id, sdp=SDP))
        await seat.says(wire.Accept(call_id=incoming.call_id))
        await bed.says(wire.Hangup(call_id=incoming.call_id, spoken=True))
        await seat.hears(wire.CallEnded)
        given = await post(desk, "/api/allocate", **asking(desk))
        tickets.append(given.json()["userSig"])
        secrets = [PASSPHRASE, code, desk.secret_key, *tickets]
    assert "bed-301-2 connected" in caplog.text
    ours = "\n".join(record.getMessage() for record in caplog.records if record.name != "websockets.client")
    for secret in secrets:
        for part in (secret, secret[:20], secret[-20:]):
            assert part not in ours
