"""What a kiosk and a seat say to the desk, and what is passed on from one to the other.

Pure. Callers take them from :mod:`kiosk.signaling.messages`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from kiosk.signaling.message import PROTOCOL_VERSION, Message
from kiosk.signaling.vocabulary import (
    BedInfo,
    CallType,
    ClosedRequest,
    CloseReason,
    Connection,
    Devices,
    Fence,
    Label,
    OpenRequest,
    Part,
    QualityLevel,
    Sdp,
    Token,
    UserId,
    Words,
)

Milliseconds = Annotated[int, Meta(ge=0, le=60_000)]
Kilobits = Annotated[int, Meta(ge=0, le=1_000_000)]
CandidateText = Annotated[str, Meta(max_length=1024)]
MediaId = Annotated[str, Meta(max_length=64)]
LineIndex = Annotated[int, Meta(ge=0, le=64)]

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


class Quality(Message, tag="quality", frozen=True, kw_only=True):
    """How the connection of a talk is at the sender's end, at most once a second. None: not known.

    *In* is what comes to the sender of this message. Not answered when the desk does not know the call.
    """

    call_id: Token
    quality: QualityLevel
    loss_in: Part | None = None
    """Of the packets of sound."""
    loss_out: Part | None = None
    """By the far end's reports (RTCP)."""
    rtt_ms: Milliseconds | None = None
    jitter_ms: Milliseconds | None = None
    """RFC 3550's, of the packets of sound that come."""
    kbps_in: Kilobits | None = None
    kbps_out: Kilobits | None = None
    fps: Annotated[int, Meta(ge=0, le=240)] | None = None
    """Pictures that come and are shown."""
    concealed: Part | None = None
    """Of the time: sound that was made up, or missing."""
    late: Part | None = None
    """Of the packets of sound that came: after their time."""
    frozen: Part | None = None
    """Of the time: the picture stood still."""


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
    candidate: CandidateText
    sdp_mid: MediaId | None = None
    sdp_mline_index: LineIndex | None = None
    connection: Connection = 0


class Ringing(Message, tag="ringing", frozen=True, kw_only=True):
    """Desk → kiosk: the seat's page has been sent the invitation. Kiosk → seat: light and sound are on here."""

    call_id: Token


class MemberOffer(Message, tag="member_offer", frozen=True, kw_only=True):
    """Seat → seat of the same talk, by the desk: the SDP offer of the connection between the two.

    Here and below: ``call_id`` is the call of whoever sends or receives it from the desk, ``user_id`` the other
    seat. The one that came later offers.
    """

    call_id: Token
    user_id: UserId
    sdp: Sdp

    def __repr__(self) -> str:
        return f"MemberOffer(call_id={self.call_id!r}, user_id={self.user_id!r}, sdp=…)"


class MemberAnswer(Message, tag="member_answer", frozen=True, kw_only=True):
    """Seat → seat: the SDP answer."""

    call_id: Token
    user_id: UserId
    sdp: Sdp

    def __repr__(self) -> str:
        return f"MemberAnswer(call_id={self.call_id!r}, user_id={self.user_id!r}, sdp=…)"


class MemberCandidate(Message, tag="member_candidate", frozen=True, kw_only=True):
    """Seat → seat: a trickled ICE candidate, as in :class:`Candidate`."""

    call_id: Token
    user_id: UserId
    candidate: CandidateText
    sdp_mid: MediaId | None = None
    sdp_mline_index: LineIndex | None = None


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
    """Who called takes it back before it is accepted."""

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


class CallBed(Message, tag="call_bed", frozen=True, kw_only=True):
    """A person calls a bed. :class:`Calling` says that it is tried; the bed answers by its facility's rule."""

    bed_user: UserId
    call_type: CallType = CallType.AUDIO


class FindBeds(Message, tag="find_beds", frozen=True, kw_only=True):
    """Which beds have every word of ``text`` in their ward, room, bed or user id? Answer: :class:`Beds`."""

    text: Label = ""


class FindSeats(Message, tag="find_seats", frozen=True, kw_only=True):
    """Which seats, of any group, have every word of ``text`` in their name or user id? Answer: :class:`Seats`."""

    text: Label = ""


class AddSeat(Message, tag="add_seat", frozen=True, kw_only=True):
    """Ask the free seat ``user_id`` into the talk ``call_id``, the sender's own. :class:`Members` follows."""

    call_id: Token
    user_id: UserId


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
    """The seat declines, and the next one rings; or the bed declines the call of a seat."""

    call_id: Token


class TakeRequest(Message, tag="take_request", frozen=True, kw_only=True):
    """A person takes an overdue request; the :class:`IncomingCall` that follows needs no other click."""

    request_id: Token
