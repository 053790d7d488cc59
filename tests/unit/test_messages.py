"""The wire: every message comes through whole, and whatever else comes is refused in words that name the field."""

from __future__ import annotations

import json
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from kiosk.errors import BadMessage
from kiosk.signaling import codec
from kiosk.signaling import messages as wire
from kiosk.signaling.messages import MAX_MESSAGE_BYTES, CallType, ErrorCode

SDP = "v=0\r\na=ice-pwd:not-for-the-log\r\n"
SIG = "eJyrVgrxCdYr-not-for-the-log"

OPEN = wire.OpenRequest(
    request_id="r1",
    age=1500,
    presses=3,
    priority=wire.Priority.URGENT,
    call_type=CallType.AUDIO,
    seat="nurse-1",
    phase=wire.Phase.TALKING,
    call_id="c1",
    call_seat="nurse-1",
    fence=2**53 - 1,
    others=(wire.Talk(call_id="c2", seat="nurse-2", fence=7),),
    spoken=True,
)
LINE = wire.RequestView(
    request_id="r1",
    bed_user="bed-1",
    ward="三病区",
    room="301",
    bed="2",
    priority=wire.Priority.EMERGENCY,
    presses=3,
    call_type=CallType.VIDEO,
    age=1500,
    state="waiting",
    place=1,
    seat="nurse-1",
    online=False,
    devices=wire.Devices(camera="no camera found", kinds={"camera": wire.FaultKind.MISSING}),
    overdue=True,
    alerts=2,
)
NURSE = wire.SeatView(user_id="nurse-1", name="Nurse Lin", state=wire.SeatState.WRAP_UP)
MEMBER = wire.Member(user_id="nurse-1", name="Nurse Lin", state="talking")

EXAMPLES: list[wire.Message] = [
    wire.Login(user_id="bed-1", sdk_app_id=1400000000, user_sig=SIG, takeover=False, call_id="c1"),
    wire.Hangup(call_id="c1", spoken=True),
    wire.CallFailed(call_id="c1", why="ICE failed"),
    wire.MediaState(call_id="c1", audio=True, video=False),
    wire.Quality(
        call_id="c1",
        quality=wire.QualityLevel.POOR,
        loss_in=0.05,
        loss_out=0.0,
        rtt_ms=52,
        jitter_ms=8,
        kbps_in=480,
        kbps_out=1100,
        fps=25,
        concealed=0.01,
        late=0.0,
        frozen=0.02,
    ),
    wire.SwitchToAudio(call_id="c1"),
    wire.Answer(call_id="c1", sdp=SDP, connection=1),
    wire.Candidate(call_id="c1", candidate="candidate:1 1 udp 1 10.1.2.3 5000 typ host", sdp_mid="0"),
    wire.Pong(),
    wire.Snapshot(
        id="7",
        bed=wire.BedInfo(group="ward-3", ward="三病区", language="en"),
        request=OPEN,
        closed=(wire.ClosedRequest(request_id="r0", reason=wire.CloseReason.ATTENDED),),
        devices=wire.Devices(microphone="none"),
    ),
    wire.Request(id="8", request=OPEN),
    wire.CloseRequest(request_id="r1", reason=wire.CloseReason.CANCELLED),
    wire.Invite(call_id="c1", fence=4, call_type=CallType.VIDEO, sdp=SDP),
    wire.Cancel(call_id="c1"),
    wire.LineBusy(call_id="c1"),
    wire.Rebuild(call_id="c1", connection=1, sdp=SDP),
    wire.DeviceState(devices=wire.Devices(speaker="unplugged")),
    wire.SetSeatState(state="rest"),
    wire.Accept(call_id="c1", call_type=CallType.AUDIO),
    wire.Reject(call_id="c1"),
    wire.MediaStalled(call_id="c1", connection=1),
    wire.TakeRequest(request_id="r1"),
    wire.CallBed(id="9", bed_user="bed-1", call_type=CallType.VIDEO),
    wire.FindBeds(text="301"),
    wire.FindSeats(text="doctor"),
    wire.AddSeat(id="10", call_id="c1", user_id="doctor-1"),
    wire.MemberOffer(call_id="c1", user_id="doctor-1", sdp=SDP),
    wire.MemberAnswer(call_id="c2", user_id="nurse-1", sdp=SDP),
    wire.MemberCandidate(call_id="c1", user_id="doctor-1", candidate="candidate:1", sdp_mid="0", sdp_mline_index=0),
    wire.LoginOk(
        user_id="bed-1", role="kiosk", ice_servers=("stun:10.0.0.1",), ice=(wire.IceServer(urls="stun:10.0.0.1"),)
    ),
    wire.IceServers(
        ice=(wire.IceServer(urls="turns:10.0.0.1:5349", username="1700000000:bed-1", credential="s3"),)
    ),
    wire.Ping(),
    wire.Ack(id="7"),
    wire.Fault(id="7", code=ErrorCode.STALE_CALL, message="over", field="call_id", call_id="c1"),
    wire.KickedOut(),
    wire.RequestTaken(request_id="r1", place=2, retry_later=True),
    wire.RequestClosed(request_id="r1", reason=wire.CloseReason.CLOSED_BY_SEAT),
    wire.RequestHeld(request=OPEN),
    wire.LocalAlarm(request_id="r1", on=True),
    wire.Allocated(request_id="r1", call_id="c1", fence=4, seat="nurse-1", seat_name="Nurse Lin", joins=True),
    wire.Ringing(call_id="c1"),
    wire.SeatCalls(
        request_id="seat-4",
        call_id="c1",
        fence=4,
        seat="nurse-1",
        seat_name="Nurse Lin",
        call_type=CallType.AUDIO,
        ring_timeout_ms=30_000,
    ),
    wire.Beds(text="301", beds=(wire.BedView(user_id="bed-1", room="301", request_id="r1"),), more=3),
    wire.Seats(text="lin", seats=(NURSE,), more=3),
    wire.Members(
        call_id="c1",
        members=(MEMBER,),
        left=wire.LeftMember(user_id="doctor-1", reason=wire.EndReason.NO_RESPONSE),
    ),
    wire.Calling(call_id="c1", request=LINE, call_type=CallType.AUDIO, ring_timeout_ms=30_000),
    wire.Accepted(call_id="c1", call_type=CallType.AUDIO),
    wire.CallEnded(call_id="c1", reason=wire.EndReason.NO_RESPONSE, duration=30_000),
    wire.Board(
        me=NURSE,
        requests=(LINE,),
        seats=(NURSE,),
        beds_online=1,
        beds_offline=("302-1",),
        history_fault="disk full",
    ),
    wire.IncomingCall(
        call_id="c1",
        request=LINE,
        call_type=CallType.VIDEO,
        sdp=SDP,
        ring_timeout_ms=30_000,
        members=(MEMBER,),
    ),
]
DIRECTIONS = {
    "FromKiosk": wire.FromKiosk,
    "FromSeat": wire.FromSeat,
    "ToKiosk": wire.ToKiosk,
    "ToSeat": wire.ToSeat,
}
DECODERS = {name: codec.Decoder(direction) for name, direction in DIRECTIONS.items()}
FROM_KIOSK = DECODERS["FromKiosk"]
CROSSINGS = [
    pytest.param(direction, message, id=f"{direction}-{type(message).__name__}")
    for direction in DIRECTIONS
    for message in EXAMPLES
]


def refusal(text: str | bytes, decoder: codec.Decoder = FROM_KIOSK) -> BadMessage:
    with pytest.raises(BadMessage) as refused:
        decoder.decode(text)
    return refused.value


def without(path: str, message: wire.Message) -> tuple[str, bytes]:
    """The JSON of *message* lacking the field at *path*."""
    whole = json.loads(codec.encode(message))
    part, *rest = whole, *path.split(".")
    for name in rest[:-1]:
        part = part[name]
    del part[rest[-1]]
    return path, json.dumps(whole).encode()


# -- what comes through


def test_there_is_an_example_of_every_message_and_each_has_a_direction() -> None:
    kinds = {kind for kind in wire.Message.__subclasses__() if hasattr(wire, kind.__name__)}
    assert {type(example) for example in EXAMPLES} == kinds
    assert {kind for direction in DIRECTIONS.values() for kind in get_args(direction)} == kinds


@pytest.mark.parametrize(("direction", "message"), CROSSINGS)
def test_a_direction_takes_its_own_messages_whole_and_refuses_all_others(
    direction: str, message: wire.Message
) -> None:
    text = codec.encode(message)
    if isinstance(message, get_args(DIRECTIONS[direction])):
        assert DECODERS[direction].decode(text) == message
        assert DECODERS[direction].decode(text.encode()) == message
    else:
        error = refusal(text, DECODERS[direction])
        assert (error.code, error.field) == (ErrorCode.UNKNOWN_TYPE, "type")
        assert json.loads(text)["type"] in str(error)


def test_the_wire_says_call_types_and_reasons_as_tuicalling_does() -> None:
    assert json.loads(codec.encode(wire.Accept(call_id="c1"))) == {
        "type": "accept",
        "call_id": "c1",
        "call_type": 2,
    }
    ended = wire.CallEnded(call_id="c1", reason=wire.EndReason.LINE_BUSY)
    assert json.loads(codec.encode(ended))["reason"] == "line_busy"


def test_fields_of_a_newer_end_are_ignored() -> None:
    text = '{"type":"cancel","call_id":"c1","mood":"calm","request":{"deep":[1,{}]}}'
    assert FROM_KIOSK.decode(text) == wire.Cancel(call_id="c1")
    newer = json.loads(codec.encode(wire.Request(request=OPEN)))
    newer["request"]["colour"] = "blue"
    assert FROM_KIOSK.decode(json.dumps(newer)) == wire.Request(request=OPEN)


def test_fields_an_older_end_does_not_send_have_their_default() -> None:
    text = '{"type":"request","request":{"request_id":"r1","age":0}}'
    assert FROM_KIOSK.decode(text) == wire.Request(request=wire.OpenRequest(request_id="r1", age=0))


def test_a_message_without_id_asks_for_no_answer() -> None:
    assert FROM_KIOSK.decode('{"type":"cancel","call_id":"c1"}').id is UNSET
    assert "id" not in json.loads(codec.encode(wire.Pong()))


def test_an_id_stays_with_its_sender_when_a_message_is_passed_on() -> None:
    assert codec.without_id(wire.Reject(id="7", call_id="c1")) == wire.Reject(call_id="c1")


def test_a_fault_answers_the_message_that_caused_it() -> None:
    fault = wire.Fault(code=ErrorCode.STALE_CALL, message="over")
    assert codec.answering(fault, wire.Reject(id="7", call_id="c1")).id == "7"
    assert codec.answering(fault, wire.Reject(call_id="c1")).id is UNSET
    assert codec.answering(fault, None) is fault
    ended = wire.CallEnded(call_id="c1", reason=wire.EndReason.HANGUP)
    assert codec.answering(ended, wire.Reject(id="7", call_id="c1")) is ended


# -- what is refused, and in which words


@pytest.mark.parametrize(
    ("field", "text"),
    [
        without("call_id", wire.Cancel(call_id="c1")),
        without("sdp", wire.Invite(call_id="c1", fence=1, call_type=CallType.VIDEO, sdp=SDP)),
        without("user_sig", wire.Login(user_id="bed-1", sdk_app_id=1, user_sig=SIG)),
        without("request.request_id", wire.Request(request=OPEN)),
        without("bed.group", wire.Snapshot(bed=wire.BedInfo(group="ward-3"))),
        without("type", wire.Pong()),
    ],
)
def test_a_missing_field_is_named(field: str, text: bytes) -> None:
    error = refusal(text)
    assert (error.code, error.field) == (ErrorCode.BAD_MESSAGE, field)
    assert "missing" in str(error)


LONG_TOKEN = "a" * 65


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ("call_id", {"type": "cancel", "call_id": 7}),
        ("call_id", {"type": "cancel", "call_id": None}),
        ("call_id", {"type": "cancel", "call_id": ""}),
        ("call_id", {"type": "cancel", "call_id": LONG_TOKEN}),
        ("call_id", {"type": "cancel", "call_id": "c1\n"}),
        ("call_id", {"type": "cancel", "call_id": "床"}),
        ("id", {"type": "cancel", "call_id": "c1", "id": None}),
        ("id", {"type": "cancel", "call_id": "c1", "id": LONG_TOKEN}),
        ("user_id", {"type": "login", "user_id": "a" * 33, "sdk_app_id": 1, "user_sig": ""}),
        ("sdk_app_id", {"type": "login", "user_id": "bed-1", "sdk_app_id": 2**32, "user_sig": ""}),
        ("user_sig", {"type": "login", "user_id": "bed-1", "sdk_app_id": 1, "user_sig": "a" * 4097}),
        ("version", {"type": "login", "user_id": "bed-1", "sdk_app_id": 1, "user_sig": "", "version": 0}),
        ("takeover", {"type": "login", "user_id": "bed-1", "sdk_app_id": 1, "user_sig": "", "takeover": 1}),
        ("fence", {"type": "invite", "call_id": "c1", "fence": -1, "call_type": 1, "sdp": SDP}),
        ("fence", {"type": "invite", "call_id": "c1", "fence": 2**53, "call_type": 1, "sdp": SDP}),
        ("call_type", {"type": "invite", "call_id": "c1", "fence": 1, "call_type": 3, "sdp": SDP}),
        ("sdp", {"type": "invite", "call_id": "c1", "fence": 1, "call_type": 1, "sdp": ""}),
        ("sdp", {"type": "invite", "call_id": "c1", "fence": 1, "call_type": 1, "sdp": "v" * (48 * 1024 + 1)}),
        ("why", {"type": "call_failed", "call_id": "c1", "why": "a" * 201}),
        ("request", {"type": "request", "request": []}),
        ("request.age", {"type": "request", "request": {"request_id": "r1", "age": -1}}),
        ("request.age", {"type": "request", "request": {"request_id": "r1", "age": 1.5}}),
        ("request.age", {"type": "request", "request": {"request_id": "r1", "age": 10**400}}),
        ("request.presses", {"type": "request", "request": {"request_id": "r1", "age": 0, "presses": -1}}),
        ("request.priority", {"type": "request", "request": {"request_id": "r1", "age": 0, "priority": 9}}),
        ("request.phase", {"type": "request", "request": {"request_id": "r1", "age": 0, "phase": "lost"}}),
        ("reason", {"type": "close_request", "request_id": "r1", "reason": "hangup"}),
        ("bed.language", {"type": "snapshot", "bed": {"group": "ward-3", "language": "fr"}}),
        ("closed[1].reason", {"type": "snapshot", "bed": {"group": "w"}, "closed": [
            {"request_id": "r1", "reason": "attended"}, {"request_id": "r2", "reason": "forgotten"}]}),
        ("closed", {"type": "snapshot", "bed": {"group": "w"}, "closed": [
            {"request_id": "r1", "reason": "attended"}] * 33}),
        ("devices.camera", {"type": "device_state", "devices": {"camera": "a" * 201}}),
        ("candidate", {"type": "candidate", "call_id": "c1", "candidate": "a" * 1025}),
        ("sdp_mline_index", {"type": "candidate", "call_id": "c1", "candidate": "", "sdp_mline_index": -1}),
        ("request.others", {"type": "request", "request": {"request_id": "r1", "age": 0, "others": [
            {"call_id": "c2", "seat": "nurse-2", "fence": 1}] * 4}}),
    ],
)  # fmt: skip
def test_a_broken_field_is_named(field: str, message: dict[str, Any]) -> None:
    error = refusal(json.dumps(message))
    assert (error.code, error.field) == (ErrorCode.BAD_MESSAGE, field)
    assert str(error)


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ("user_id", {"type": "add_seat", "call_id": "c1"}),
        ("user_id", {"type": "add_seat", "call_id": "c1", "user_id": "医生"}),
        ("text", {"type": "find_seats", "text": "a" * 65}),
        ("sdp", {"type": "member_offer", "call_id": "c1", "user_id": "nurse-2", "sdp": ""}),
        ("sdp", {"type": "member_answer", "call_id": "c1", "user_id": "nurse-2", "sdp": "v" * (48 * 1024 + 1)}),
        ("candidate", {"type": "member_candidate", "call_id": "c1", "user_id": "nurse-2", "candidate": "a" * 1025}),
    ],
)
def test_a_broken_field_of_a_seat_is_named(field: str, message: dict[str, Any]) -> None:
    error = refusal(json.dumps(message), DECODERS["FromSeat"])
    assert (error.code, error.field) == (ErrorCode.BAD_MESSAGE, field)


def test_a_seat_may_not_choose_a_state_that_only_the_desk_gives() -> None:
    error = refusal('{"type":"set_seat_state","state":"busy"}', DECODERS["FromSeat"])
    assert (error.code, error.field) == (ErrorCode.BAD_MESSAGE, "state")


@pytest.mark.parametrize("kind", ["", "nope", "Cancel", "hangup\n", "床"])
def test_an_unknown_type_is_named(kind: str) -> None:
    error = refusal(json.dumps({"type": kind, "call_id": "c1"}))
    assert (error.code, error.field) == (ErrorCode.UNKNOWN_TYPE, "type")
    shown = kind.replace("\n", "?")
    assert f"'{shown}'" in str(error), "what was received cannot break a log's line"


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "hello", "[]", "null", "1", '"cancel"', "{", '{"type":"cancel"'),
        *('{"type":"cancel","call_id":"c1"}x', b"\xff", b'{"type":"cancel","call_id":"\xff"}'),
        *(b"\xef\xbb\xbf{}", "{'type':'pong'}", '{"type":7}'),
        *('{"type":"cancel","call_id":"\ud800"}', '{"type":"cancel","call_id":"\\ud800"}'),
    ],
)  # fmt: skip
def test_what_is_not_json_of_this_wire_is_a_bad_message(text: str | bytes) -> None:
    assert refusal(text).code == ErrorCode.BAD_MESSAGE


@pytest.mark.parametrize("nested", ["[" * 30_000 + "]" * 30_000, '{"":' * 12_500 + "1" + "}" * 12_500])
def test_a_message_nested_too_deep_is_a_bad_message(nested: str) -> None:
    error = refusal('{"type":"cancel","call_id":"c1","x":' + nested + "}")
    assert error.code == ErrorCode.BAD_MESSAGE
    assert "nested too deep" in str(error)


def padded(size: int, letter: str = "a") -> str:
    """A message of *size* bytes, most of them in a field nobody knows."""
    shell = '{"type":"pong","x":""}'
    letters, rest = divmod(size - len(shell), len(letter.encode()))
    return shell[:-2] + letter * letters + "a" * rest + '"}'


@pytest.mark.parametrize("letter", ["a", "床", "🛏"])
def test_a_message_may_have_as_many_bytes_as_the_wire_allows_and_not_one_more(letter: str) -> None:
    fits, does_not = padded(MAX_MESSAGE_BYTES, letter), padded(MAX_MESSAGE_BYTES + 1, letter)
    for whole, larger in ((fits, does_not), (fits.encode(), does_not.encode())):
        assert FROM_KIOSK.decode(whole) == wire.Pong()
        error = refusal(larger)
        assert error.code == ErrorCode.TOO_LARGE
        assert f"message of {MAX_MESSAGE_BYTES + 1} bytes; at most {MAX_MESSAGE_BYTES}" in str(error)


def test_the_fault_that_answers_the_worst_message_can_itself_be_read() -> None:
    """The other end's own words are quoted in it, and may be as long as a message."""
    error = refusal(json.dumps({"type": "床" * 9000}))
    fault = wire.Fault(code=ErrorCode(error.code), message=str(error), field=error.field)
    assert DECODERS["ToKiosk"].decode(codec.encode(fault)) == fault


# -- nothing secret in the log


@pytest.mark.parametrize("message", EXAMPLES, ids=lambda message: type(message).__name__)
def test_no_sdp_and_no_usersig_is_in_a_repr(message: wire.Message) -> None:
    shown = f"{message!r} {message} {[message]}"
    assert type(message).__name__ in shown
    assert "not-for-the-log" not in shown


@pytest.mark.parametrize("message", [example for example in EXAMPLES if "not-for-the-log" in codec.encode(example)])
def test_no_sdp_and_no_usersig_is_in_a_refusal(message: wire.Message) -> None:
    broken = json.loads(codec.encode(message)) | {"id": None, "call_type": "not a type"}
    for decoder in DECODERS.values():
        error = refusal(json.dumps(broken), decoder)
        assert "not-for-the-log" not in f"{error} {error!r} {error.field}"


# -- anything at all

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
NEAR_MISSES = st.builds(
    lambda example, field, value: json.loads(codec.encode(example)) | {field: value},
    st.sampled_from(EXAMPLES),
    st.sampled_from(sorted({"type", *(name for kind in EXAMPLES for name in kind.__struct_fields__)})),
    JSON,
)


@given(text=st.text() | st.binary() | JSON.map(json.dumps) | NEAR_MISSES.map(json.dumps))
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_anything_at_all_is_a_message_or_a_bad_message(direction: str, text: str | bytes) -> None:
    try:
        message = DECODERS[direction].decode(text)
    except BadMessage as error:
        answer = wire.Fault(code=ErrorCode(error.code), message=str(error), field=error.field)
        msgspec.convert(msgspec.to_builtins(answer), wire.Fault)
    else:
        assert DECODERS[direction].decode(codec.encode(message)) == message
