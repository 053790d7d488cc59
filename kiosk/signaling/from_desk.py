"""What the desk says to kiosks and seats.

Pure. Callers take them from :mod:`kiosk.signaling.messages`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from kiosk.signaling.message import PROTOCOL_VERSION, Message
from kiosk.signaling.views import (
    BedView,
    LeftMember,
    Member,
    RequestView,
    SeatView,
)
from kiosk.signaling.vocabulary import (
    MAX_MEMBERS,
    CallType,
    CloseReason,
    EndReason,
    ErrorCode,
    Fence,
    IceServer,
    Label,
    Millis,
    OpenRequest,
    Sdp,
    Token,
    UserId,
    Words,
)

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
    """For ends that do not know ``ice`` yet: the servers that need no credential."""
    ice: tuple[IceServer, ...] = ()
    """The servers to use; :class:`IceServers` renews them before they expire."""


class IceServers(Message, tag="ice_servers", frozen=True, kw_only=True):
    """From the next media connection on use these servers: the credentials of the older ones will expire."""

    ice: tuple[IceServer, ...] = ()


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
    joins: bool = False
    """The seat comes into the talk that is on: no ring at the bed, and the other seats stay."""


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


class SeatCalls(Message, tag="seat_calls", frozen=True, kw_only=True):
    """A seat calls this bed: light and sound first, :class:`Ringing` when they are on, and nothing is captured yet.

    If the bed answers, by its facility's rule, it sends :class:`Invite` with this ``call_id`` and ``fence``.
    ``request_id``: the bed's own open request, or the name of this call for as long as it lasts.
    """

    request_id: Token
    call_id: Token
    fence: Fence
    seat: UserId
    seat_name: Label = ""
    call_type: CallType
    ring_timeout_ms: Millis


# -- desk → seat


class Board(Message, tag="board", frozen=True, kw_only=True):
    """All a seat sees: a snapshot, sent at login and again (at most some times a second) when it changes."""

    me: SeatView
    requests: tuple[RequestView, ...] = ()
    seats: tuple[SeatView, ...] = ()
    beds_online: int = 0
    beds_offline: tuple[Label, ...] = ()
    history_fault: Words = ""
    """Why the desk cannot keep its record (timelines, audit log) now; calls work all the same."""


class Beds(Message, tag="beds", frozen=True, kw_only=True):
    """Answers :class:`FindBeds`: the first of them, by place, and how many more there are."""

    text: Label
    beds: Annotated[tuple[BedView, ...], Meta(max_length=100)] = ()
    more: Annotated[int, Meta(ge=0)] = 0


class Seats(Message, tag="seats", frozen=True, kw_only=True):
    """Answers :class:`FindSeats`: the first of them, by name, and how many more there are."""

    text: Label
    seats: Annotated[tuple[SeatView, ...], Meta(max_length=100)] = ()
    more: Annotated[int, Meta(ge=0)] = 0


class Members(Message, tag="members", frozen=True, kw_only=True):
    """Who is in the talk of ``call_id``, which is the receiver's own call, or is being rung for it: all of them.

    Sent at every change, and after a login that names the call. One member alone is a talk like any other.
    """

    call_id: Token
    members: Annotated[tuple[Member, ...], Meta(max_length=MAX_MEMBERS)] = ()
    left: LeftMember | None = None
    """Who went, or did not come, if that is the change."""


class Calling(Message, tag="calling", frozen=True, kw_only=True):
    """The bed is being called; :class:`Ringing` comes when it rings, :class:`IncomingCall` when it has answered.

    Answer that one and accept it at once; or :class:`CallEnded` says why not. ``cancel`` takes the call back.
    """

    call_id: Token
    request: RequestView
    call_type: CallType
    ring_timeout_ms: Millis


class IncomingCall(Message, tag="incoming_call", frozen=True, kw_only=True):
    """Ring. Answer the offer at once (media stay gated at the kiosk), accept or reject when the person does."""

    call_id: Token
    request: RequestView
    call_type: CallType
    sdp: Sdp
    ring_timeout_ms: Millis
    members: Annotated[tuple[Member, ...], Meta(max_length=MAX_MEMBERS)] = ()
    """A colleague asks this seat into a talk: who is in it, or being rung for it, already. Else empty."""

    def __repr__(self) -> str:
        return f"IncomingCall(call_id={self.call_id!r}, call_type={self.call_type!r}, sdp=…)"
