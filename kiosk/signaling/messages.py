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

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from kiosk.signaling.vocabulary import (
    BedInfo,
    CallType,
    ClosedRequest,
    CloseReason,
    Connection,
    Devices,
    EndReason,
    ErrorCode,
    Fence,
    Label,
    Millis,
    OpenRequest,
    Phase,
    Priority,
    Sdp,
    SeatState,
    Token,
    UserId,
    Words,
)

PROTOCOL_VERSION = 1
MAX_MESSAGE_BYTES = 64 * 1024
"""Largest message either end accepts. A 720p audio + video SDP is about 6 KiB."""


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
    steady: bool = False
    """Sound packets go on also while ``audio`` is off (as silence): their absence is a dead path."""


class SwitchToAudio(Message, tag="switch_to_audio", frozen=True, kw_only=True):
    """A video call goes on as an audio call; both ends stop sending pictures."""

    call_id: Token


class Answer(Message, tag="answer", frozen=True, kw_only=True):
    """Seat → kiosk: the SDP answer. Sent while the seat still rings, so that accepting costs no handshake."""

    call_id: Token
    sdp: Sdp
    connection: Connection = 0

    def __repr__(self) -> str:
        return f"Answer(call_id={self.call_id!r}, sdp=…)"


class Candidate(Message, tag="candidate", frozen=True, kw_only=True):
    """A trickled ICE candidate (RFC 8838); an empty ``candidate`` says there are no more."""

    call_id: Token
    candidate: Annotated[str, Meta(max_length=1024)]
    sdp_mid: Annotated[str, Meta(max_length=64)] | None = None
    sdp_mline_index: Annotated[int, Meta(ge=0, le=64)] | None = None
    connection: Connection = 0


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


class Rebuild(Message, tag="rebuild", frozen=True, kw_only=True):
    """Kiosk → seat: the media path of this talk is dead; here is the offer of a new one. Answer at once."""

    call_id: Token
    connection: Connection
    sdp: Sdp

    def __repr__(self) -> str:
        return f"Rebuild(call_id={self.call_id!r}, connection={self.connection}, sdp=…)"


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


class MediaStalled(Message, tag="media_stalled", frozen=True, kw_only=True):
    """Seat → kiosk: connected, but nothing arrives from the bed. The kiosk sends :class:`Rebuild`."""

    call_id: Token
    connection: Connection = 0


class Reject(Message, tag="reject", frozen=True, kw_only=True):
    """The seat declines; the next seat rings."""

    call_id: Token


class TakeRequest(Message, tag="take_request", frozen=True, kw_only=True):
    """A person takes an overdue request; the :class:`IncomingCall` that follows needs no other click."""

    request_id: Token


# -- desk → both


class LoginOk(Message, tag="login_ok", frozen=True, kw_only=True):
    """Welcome. ``heartbeat_ms``: a :class:`Ping` comes at least this often; silence for three is a dead link."""

    user_id: UserId
    role: Literal["kiosk", "seat"]
    version: int = PROTOCOL_VERSION
    heartbeat_ms: Millis = 2500
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
    message: Annotated[str, Meta(max_length=500)]
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


class LocalAlarm(Message, tag="local_alarm", frozen=True, kw_only=True):
    """Nobody has answered for too long: the bed gives its own alarm (words, relay output) until it is off."""

    request_id: Token
    on: bool


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
    overdue: bool = False
    """Nobody has answered for too long: every seat that sees it sounds, and any of them may take it."""
    alerts: int = 0
    """How often it has sounded so; a page sounds when this rises."""


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
    | Rebuild
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
    | MediaStalled
    | CloseRequest
    | TakeRequest
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
    | LocalAlarm
    | Allocated
    | Ringing
    | Answer
    | Candidate
    | Accepted
    | CallEnded
    | MediaState
    | SwitchToAudio
    | MediaStalled
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
    | Rebuild
)
