"""The messages on the wire between kiosk, desk and seat: JSON objects told apart by their ``type``.

Pure. One definition validates, documents (:mod:`kiosk.signaling.schema` writes the JSON Schema) and versions
the wire; ``WIRE.md`` beside this file tells the story with a sequence diagram. Both ends use these structs.

Rules a caller must know
------------------------
* The first message on a connection is :class:`Login`; the desk answers :class:`LoginOk` or :class:`Fault`.
* A kiosk then sends :class:`Snapshot` (it is the truth about its request), the desk sends a seat a
  :class:`Board` (it is the truth about seats). After that both send events.
* Any message may carry ``id``. A message with an ``id`` is answered by :class:`Ack` or :class:`Fault` with the
  same ``id``; it may be sent again after a reconnect and does no harm the second time.
* Unknown fields are ignored, so that a newer end may talk to an older one. An unknown ``type`` or a broken
  field is answered by a :class:`Fault` that names the field; the connection survives.
* Times are milliseconds. Ages, not clock times, say how old a request is: a kiosk's clock may be wrong.

Words follow TUICalling: ``invite``, ``accept``, ``reject``, ``line_busy``, ``no_response`` (30 s),
``cancel``, ``hangup``; call types ``audio`` = 1, ``video`` = 2.
"""

from __future__ import annotations

import enum
from typing import Annotated, Literal, TypeVar

import msgspec
from msgspec import UNSET, Meta, UnsetType

from kiosk.errors import BadMessage, explain
from kiosk.usersig import USER_ID_PATTERN

PROTOCOL_VERSION = 1
MAX_MESSAGE_BYTES = 64 * 1024
"""Largest message either end accepts. A 720p audio + video SDP is about 6 KiB."""

MAX_FAULT_CHARS = 500
"""Longest text of a :class:`Fault`. What the other end sent is quoted in it, and may be as long as a message."""

UserId = Annotated[str, Meta(pattern=USER_ID_PATTERN, description="1 to 32 of A-Z a-z 0-9 _ -")]
Token = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,64}$(?!\n)", description="an id made by one of the ends")]
Label = Annotated[str, Meta(max_length=64)]
Words = Annotated[str, Meta(max_length=200)]
Sdp = Annotated[str, Meta(min_length=1, max_length=48 * 1024)]
Millis = Annotated[int, Meta(ge=0, le=10**12)]
Fence = Annotated[int, Meta(ge=0, le=2**53 - 1, description="rises with every allocation, also across desks")]


class CallType(enum.IntEnum):
    """TUICalling's call types."""

    AUDIO = 1
    VIDEO = 2


class Priority(enum.IntEnum):
    """How urgent a request is; higher goes first."""

    NORMAL = 0
    URGENT = 1
    EMERGENCY = 2


class Phase(enum.StrEnum):
    """Where a request stands, as the kiosk sees it."""

    WAITING = "waiting"
    """Nobody has spoken with the patient: a seat must ring."""
    TALKING = "talking"
    """A call is connected."""
    ANSWERED = "answered"
    """A seat has spoken with the patient; somebody still has to attend at the bed."""


class SeatState(enum.StrEnum):
    """The states of a seat (design §2)."""

    OFFLINE = "offline"
    NOT_READY = "not_ready"
    REST = "rest"
    FREE = "free"
    RINGING = "ringing"
    BUSY = "busy"
    WRAP_UP = "wrap_up"


class EndReason(enum.StrEnum):
    """Why a ringing or a call ended."""

    REJECTED = "rejected"
    LINE_BUSY = "line_busy"
    NO_RESPONSE = "no_response"
    CANCELLED = "cancelled"
    HANGUP = "hangup"
    FAILED = "failed"
    SEAT_LOST = "seat_lost"
    BED_LOST = "bed_lost"
    ANSWERED_ELSEWHERE = "answered_elsewhere"


class CloseReason(enum.StrEnum):
    """Why a request was closed. A hang-up, a crash, a time-out or a network loss is never among them."""

    CANCELLED = "cancelled"
    ATTENDED = "attended"
    CLOSED_BY_SEAT = "closed_by_seat"


class ErrorCode(enum.StrEnum):
    """Every code a :class:`Fault` may carry."""

    BAD_MESSAGE = "bad_message"
    UNKNOWN_TYPE = "unknown_type"
    TOO_LARGE = "too_large"
    OUT_OF_ORDER = "out_of_order"
    BAD_USER_ID = "bad_user_id"
    SIG_MALFORMED = "sig_malformed"
    SIG_FOREIGN = "sig_foreign"
    SIG_EXPIRED = "sig_expired"
    SIG_NOT_YET_VALID = "sig_not_yet_valid"
    UNKNOWN_SEAT = "unknown_seat"
    STALE_CALL = "stale_call"
    UNKNOWN_REQUEST = "unknown_request"
    NOT_ALLOWED = "not_allowed"
    TOO_MANY = "too_many"
    VERSION = "version"


class BedInfo(msgspec.Struct, frozen=True, kw_only=True):
    """The place a kiosk serves. No patient names, ever."""

    group: Token
    ward: Label = ""
    room: Label = ""
    bed: Label = ""
    language: Literal["zh", "en"] = "zh"


class OpenRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request as its kiosk tells it; sent whole each time, so that the last one is the truth."""

    request_id: Token
    age: Millis
    presses: Annotated[int, Meta(ge=1, le=10**6)] = 1
    priority: Priority = Priority.NORMAL
    call_type: CallType = CallType.VIDEO
    seat: UserId | None = None
    """A named seat, or None for any free seat of the bed's group."""
    phase: Phase = Phase.WAITING
    call_id: Token | None = None
    """The connected call, when ``phase`` is ``talking``."""
    call_seat: UserId | None = None
    fence: Fence = 0
    spoken: bool = False
    """Speech has really flowed both ways in some call of this request."""


class ClosedRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request closed while the desk could not be told."""

    request_id: Token
    reason: CloseReason


class Devices(msgspec.Struct, frozen=True, kw_only=True):
    """The state of the bed's devices in words; empty means in order."""

    camera: Words = ""
    microphone: Words = ""
    speaker: Words = ""
    button: Words = ""


class Message(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    """Base of every message. ``id`` asks for an :class:`Ack`."""

    id: Token | UnsetType = UNSET


# -- both ends to the desk


class Login(Message, tag="login", frozen=True, kw_only=True):
    """Who is there. The desk's registry, not the caller, decides whether a user is a seat or a kiosk."""

    user_id: UserId
    sdk_app_id: Annotated[int, Meta(ge=0, le=2**32 - 1)]
    user_sig: Annotated[str, Meta(max_length=4096)]
    version: Annotated[int, Meta(ge=1, le=10**6)] = PROTOCOL_VERSION
    takeover: bool = True
    """Put out an older login of the same user. A page that was itself put out asks before it sets this."""
    call_id: Token | None = None
    """Seats: the call this page is in. After a lost link the call goes on; a reloaded page has none."""

    def __repr__(self) -> str:
        return f"Login(user_id={self.user_id!r}, sdk_app_id={self.sdk_app_id}, user_sig=…)"


class Hangup(Message, tag="hangup", frozen=True, kw_only=True):
    """Either side ends a connected call. ``spoken``: speech flowed both ways (only the kiosk is believed)."""

    call_id: Token
    spoken: bool = False


class CallFailed(Message, tag="call_failed", frozen=True, kw_only=True):
    """The media connection could not be made or broke; the request goes on."""

    call_id: Token
    why: Words = ""
    spoken: bool = False


class MediaState(Message, tag="media_state", frozen=True, kw_only=True):
    """What the sender sends now: remote audio / video on and off (TUICalling's *Available* events)."""

    call_id: Token
    audio: bool
    video: bool


class SwitchToAudio(Message, tag="switch_to_audio", frozen=True, kw_only=True):
    """A video call goes on as an audio call; both ends stop sending pictures."""

    call_id: Token


class Answer(Message, tag="answer", frozen=True, kw_only=True):
    """Seat → kiosk: the SDP answer. Sent while the seat still rings, so that accepting costs no handshake."""

    call_id: Token
    sdp: Sdp

    def __repr__(self) -> str:
        return f"Answer(call_id={self.call_id!r}, sdp=…)"


class Candidate(Message, tag="candidate", frozen=True, kw_only=True):
    """A trickled ICE candidate (RFC 8838); an empty ``candidate`` says there are no more."""

    call_id: Token
    candidate: Annotated[str, Meta(max_length=1024)]
    sdp_mid: Annotated[str, Meta(max_length=64)] | None = None
    sdp_mline_index: Annotated[int, Meta(ge=0, le=64)] | None = None


class Pong(Message, tag="pong", frozen=True, kw_only=True):
    """Answers :class:`Ping`."""


# -- kiosk → desk


class Snapshot(Message, tag="snapshot", frozen=True, kw_only=True):
    """All a kiosk knows, sent after each login: its bed, its open request, what it closed meanwhile."""

    bed: BedInfo
    request: OpenRequest | None = None
    closed: Annotated[tuple[ClosedRequest, ...], Meta(max_length=32)] = ()
    devices: Devices = Devices()


class Request(Message, tag="request", frozen=True, kw_only=True):
    """A request was opened or changed (pressed again, answered …)."""

    request: OpenRequest


class CloseRequest(Message, tag="close_request", frozen=True, kw_only=True):
    """The patient cancelled, or somebody attended at the bed. A seat may send ``closed_by_seat`` (see rules)."""

    request_id: Token
    reason: CloseReason


class Invite(Message, tag="invite", frozen=True, kw_only=True):
    """The kiosk calls the seat it was allocated; carries the SDP offer."""

    call_id: Token
    fence: Fence
    call_type: CallType
    sdp: Sdp

    def __repr__(self) -> str:
        return f"Invite(call_id={self.call_id!r}, fence={self.fence}, call_type={self.call_type!r}, sdp=…)"


class Cancel(Message, tag="cancel", frozen=True, kw_only=True):
    """The kiosk takes an invitation back before it is accepted."""

    call_id: Token


class LineBusy(Message, tag="line_busy", frozen=True, kw_only=True):
    """The receiver is in another call: TUICalling's automatic busy answer."""

    call_id: Token


class DeviceState(Message, tag="device_state", frozen=True, kw_only=True):
    """A device of the bed failed or came back."""

    devices: Devices


# -- seat → desk


class SetSeatState(Message, tag="set_seat_state", frozen=True, kw_only=True):
    """What a person may choose. ``free`` also ends wrap-up early."""

    state: Literal["free", "not_ready", "rest"]


class Accept(Message, tag="accept", frozen=True, kw_only=True):
    """The seat takes the call. The first accept counts; a late one is refused in words."""

    call_id: Token
    call_type: CallType = CallType.VIDEO


class Reject(Message, tag="reject", frozen=True, kw_only=True):
    """The seat declines; the next seat rings."""

    call_id: Token


# -- desk → both


class LoginOk(Message, tag="login_ok", frozen=True, kw_only=True):
    """Welcome. ``heartbeat_ms``: a :class:`Ping` comes at least this often; silence for three is a dead link."""

    user_id: UserId
    role: Literal["kiosk", "seat"]
    version: int = PROTOCOL_VERSION
    heartbeat_ms: Millis = 5000
    ring_timeout_ms: Millis = 30_000
    name: Label = ""
    ice_servers: tuple[str, ...] = ()


class Ping(Message, tag="ping", frozen=True, kw_only=True):
    """Are you there? Answer :class:`Pong`."""


class Ack(Message, tag="ack", frozen=True, kw_only=True):
    """The message with this ``id`` was taken."""

    id: Token


class Fault(Message, tag="fault", frozen=True, kw_only=True):
    """Something was refused: what (``code``), where (``field``), and in words what is allowed."""

    code: ErrorCode
    message: Annotated[str, Meta(max_length=MAX_FAULT_CHARS)]
    field: Annotated[str, Meta(max_length=200)] = ""
    call_id: Token | None = None


class KickedOut(Message, tag="kicked_out", frozen=True, kw_only=True):
    """Another login of the same user took over; the connection closes and must not reconnect by itself."""

    message: Words = "signed in elsewhere"


# -- desk → kiosk


class RequestTaken(Message, tag="request_taken", frozen=True, kw_only=True):
    """The desk has the request: only now may the bed show "sent"."""

    request_id: Token
    place: Annotated[int, Meta(ge=0, description="place in the queue, 1 = next; 0 = not queued")] = 0
    retry_later: bool = False
    """The facility does not queue: the patient is told to wait or press again."""


class RequestClosed(Message, tag="request_closed", frozen=True, kw_only=True):
    """The desk no longer holds this request (closed by a seat, or it confirms the kiosk's own close)."""

    request_id: Token
    reason: CloseReason


class RequestHeld(Message, tag="request_held", frozen=True, kw_only=True):
    """The desk holds a request the snapshot did not name: the kiosk forgot it (power cut) and takes it back."""

    request: OpenRequest


class Allocated(Message, tag="allocated", frozen=True, kw_only=True):
    """A seat is reserved: send :class:`Invite` with this ``call_id`` and ``fence``."""

    request_id: Token
    call_id: Token
    fence: Fence
    seat: UserId
    seat_name: Label = ""


class Ringing(Message, tag="ringing", frozen=True, kw_only=True):
    """The seat's page has been sent the invitation."""

    call_id: Token


class Accepted(Message, tag="accepted", frozen=True, kw_only=True):
    """The seat took the call: open the gate. ``call_type`` may be less than was asked (audio for video)."""

    call_id: Token
    call_type: CallType


class CallEnded(Message, tag="call_ended", frozen=True, kw_only=True):
    """To both: the ringing or the call is over. ``duration`` counts from the accept."""

    call_id: Token
    reason: EndReason
    duration: Millis = 0


# -- desk → seat


class RequestView(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the seat's board."""

    request_id: Token
    bed_user: UserId
    ward: Label
    room: Label
    bed: Label
    priority: Priority
    presses: int
    call_type: CallType
    age: Millis
    state: Literal["waiting", "ringing", "talking", "answered", "deferred"]
    place: int = 0
    seat: UserId | None = None
    online: bool = True
    """False: the bed's link is down; the request stays."""
    spoken: bool = False
    """Speech has flowed both ways."""
    may_close: bool = False
    """This facility lets a seat close it now (``close_request`` with ``closed_by_seat``)."""
    devices: Devices = Devices()


class SeatView(msgspec.Struct, frozen=True, kw_only=True):
    """A colleague."""

    user_id: UserId
    name: Label
    state: SeatState


class Board(Message, tag="board", frozen=True, kw_only=True):
    """All a seat sees: a snapshot, sent at login and again (at most some times a second) when it changes."""

    me: SeatView
    requests: tuple[RequestView, ...] = ()
    seats: tuple[SeatView, ...] = ()
    beds_online: int = 0
    beds_offline: tuple[Label, ...] = ()


class IncomingCall(Message, tag="incoming_call", frozen=True, kw_only=True):
    """Ring. Answer the offer at once (media stay gated at the kiosk), accept or reject when the person does."""

    call_id: Token
    request: RequestView
    call_type: CallType
    sdp: Sdp
    ring_timeout_ms: Millis

    def __repr__(self) -> str:
        return f"IncomingCall(call_id={self.call_id!r}, call_type={self.call_type!r}, sdp=…)"


FromKiosk = (
    Login
    | Snapshot
    | Request
    | CloseRequest
    | Invite
    | Cancel
    | LineBusy
    | Hangup
    | CallFailed
    | MediaState
    | SwitchToAudio
    | Candidate
    | DeviceState
    | Pong
)
FromSeat = (
    Login
    | SetSeatState
    | Answer
    | Candidate
    | Accept
    | Reject
    | LineBusy
    | Hangup
    | CallFailed
    | MediaState
    | SwitchToAudio
    | CloseRequest
    | Pong
)
ToKiosk = (
    LoginOk
    | Ping
    | Ack
    | Fault
    | KickedOut
    | RequestTaken
    | RequestClosed
    | RequestHeld
    | Allocated
    | Ringing
    | Answer
    | Candidate
    | Accepted
    | CallEnded
    | MediaState
    | SwitchToAudio
)
ToSeat = (
    LoginOk
    | Ping
    | Ack
    | Fault
    | KickedOut
    | Board
    | IncomingCall
    | Accepted
    | CallEnded
    | Candidate
    | MediaState
    | SwitchToAudio
)

M = TypeVar("M", bound=Message)
T = TypeVar("T")


def without_id(message: M) -> M:
    """*message* as it is passed on: an ``id`` concerns only its sender and the one who answers it."""
    return msgspec.structs.replace(message, id=UNSET)


def answering(message: Message, asked: Message | None) -> Message:
    """*message*, carrying the ``id`` of *asked* if it is the fault that answers it."""
    if asked is None or not isinstance(message, Fault):
        return message
    return msgspec.structs.replace(message, id=asked.id)


_encoder = msgspec.json.Encoder()


def encode(message: Message) -> str:
    """The JSON text of *message*."""
    return _encoder.encode(message).decode()


class Decoder:
    """Decodes one direction of the wire; make one per direction and keep it."""

    def __init__(self, directions: object) -> None:
        self._decoder: msgspec.json.Decoder[Message] = msgspec.json.Decoder(directions)

    def decode(self, text: str | bytes) -> Message:
        """Decode *text* or raise :exc:`BadMessage` that says what is wrong and in which field."""
        raw = text if isinstance(text, bytes) else text.encode(errors="surrogatepass")
        if len(raw) > MAX_MESSAGE_BYTES:
            raise BadMessage(
                ErrorCode.TOO_LARGE, f"message of {len(raw)} bytes; at most {MAX_MESSAGE_BYTES} are allowed"
            )
        return decode_json(self._decoder, raw)


def decode_json(decoder: msgspec.json.Decoder[T], raw: bytes) -> T:
    """Decode *raw* or raise :exc:`BadMessage`, whatever it holds."""
    try:
        return decoder.decode(raw)
    except msgspec.ValidationError as error:
        what, field = explain(error)
        code = ErrorCode.UNKNOWN_TYPE if what.startswith("Invalid value '") else ErrorCode.BAD_MESSAGE
        raise BadMessage(code, what, field=field) from None
    except RecursionError:
        raise BadMessage(ErrorCode.BAD_MESSAGE, "not a JSON object of this wire: nested too deep") from None
    except (msgspec.DecodeError, UnicodeError) as error:
        raise BadMessage(ErrorCode.BAD_MESSAGE, f"not a JSON object of this wire: {error}") from None


class _Identified(msgspec.Struct):
    id: Token | UnsetType = UNSET


def id_of(text: str | bytes) -> str | UnsetType:
    """The ``id`` of a message that cannot be decoded, if that much can be read: its fault shall carry it."""
    if len(text) > MAX_MESSAGE_BYTES:
        return UNSET
    try:
        return _identified.decode(text).id
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return UNSET


_identified = msgspec.json.Decoder(_Identified)
