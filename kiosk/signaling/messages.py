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

from kiosk.signaling.from_desk import (
    Accepted,
    Ack,
    Allocated,
    Beds,
    Board,
    CallEnded,
    Calling,
    Fault,
    IceServers,
    IncomingCall,
    KickedOut,
    LocalAlarm,
    LoginOk,
    Members,
    Ping,
    RequestClosed,
    RequestHeld,
    RequestTaken,
    SeatCalls,
    Seats,
)
from kiosk.signaling.message import (
    MAX_MESSAGE_BYTES,
    PROTOCOL_VERSION,
    Message,
)
from kiosk.signaling.to_desk import (
    Accept,
    AddSeat,
    Answer,
    CallBed,
    CallFailed,
    Cancel,
    Candidate,
    CloseRequest,
    DeviceState,
    FindBeds,
    FindSeats,
    Hangup,
    Invite,
    LineBusy,
    Login,
    MediaStalled,
    MediaState,
    MemberAnswer,
    MemberCandidate,
    MemberOffer,
    Pong,
    Quality,
    Rebuild,
    Reject,
    Request,
    Ringing,
    SetSeatState,
    Snapshot,
    SwitchToAudio,
    TakeRequest,
)
from kiosk.signaling.views import (
    BedView,
    LeftMember,
    Member,
    RequestView,
    SeatView,
)
from kiosk.signaling.vocabulary import (
    MAX_MEMBERS,
    BedInfo,
    CallType,
    ClosedRequest,
    CloseReason,
    Connection,
    DeviceName,
    Devices,
    EndReason,
    ErrorCode,
    FaultKind,
    Fence,
    IceServer,
    Label,
    Millis,
    OpenRequest,
    Origin,
    Phase,
    Priority,
    QualityLevel,
    Sdp,
    SeatState,
    Talk,
    Token,
    UserId,
    Words,
)

FromKiosk = (
    Login
    | Snapshot
    | Request
    | CloseRequest
    | Invite
    | Cancel
    | Ringing
    | Reject
    | LineBusy
    | Hangup
    | CallFailed
    | MediaState
    | Quality
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
    | Cancel
    | LineBusy
    | Hangup
    | CallFailed
    | MediaState
    | Quality
    | SwitchToAudio
    | MediaStalled
    | CloseRequest
    | TakeRequest
    | CallBed
    | FindBeds
    | FindSeats
    | AddSeat
    | MemberOffer
    | MemberAnswer
    | MemberCandidate
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
    | SeatCalls
    | Ringing
    | Answer
    | Candidate
    | Accepted
    | CallEnded
    | MediaState
    | Quality
    | SwitchToAudio
    | MediaStalled
    | IceServers
)
ToSeat = (
    LoginOk
    | Ping
    | Ack
    | Fault
    | KickedOut
    | Board
    | Beds
    | Seats
    | Members
    | MemberOffer
    | MemberAnswer
    | MemberCandidate
    | Calling
    | Ringing
    | IncomingCall
    | Accepted
    | CallEnded
    | Candidate
    | MediaState
    | Quality
    | SwitchToAudio
    | Rebuild
    | IceServers
)
