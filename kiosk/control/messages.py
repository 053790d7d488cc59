"""What is said on the control socket: one JSON object a line, both ways.

Pure. Whoever connects asks, one thing after the other, and gets an answer to each; a self-test answers with many
lines until its ``report``. A line that is wrong is answered with ``refused``, which names the field.

==============  =====================================================================================
asked           answered
==============  =====================================================================================
ask_state       state
run_self_test   found, for each finding as it comes; question, where a person is to look (answer with
                looked), and press_now; then report; or refused
looked          nothing of its own: the test goes on
==============  =====================================================================================

Closing the connection ends its self-test. Nothing secret is ever told.
"""

from __future__ import annotations

import enum
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from kiosk.check.findings import Finding, Part, Report
from kiosk.signaling.codec import decode_json
from kiosk.signaling.messages import BedInfo, CallType, Devices, Millis, Origin, Priority, Quality

MAX_ASKED_BYTES = 4 * 1024
MAX_TOLD_BYTES = 64 * 1024
"""A report with all its words is some 10 kB."""
MAX_WORDS = 500
Words = Annotated[str, Meta(max_length=MAX_WORDS)]
Name = Annotated[str, Meta(max_length=64)]
Level = Annotated[float, Meta(ge=-96, le=0)]


class Asked(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", forbid_unknown_fields=True):
    """Base of what is said to the bed."""


class AskState(Asked, tag="ask_state", frozen=True, kw_only=True):
    """How is the bed?"""


class RunSelfTest(Asked, tag="run_self_test", frozen=True, kw_only=True):
    """Test yourself. Refused while somebody needs the bed; ended when somebody does meanwhile."""

    parts: Annotated[tuple[Part, ...], Meta(max_length=len(Part))] = ()
    """Only these; none: all."""
    relay: bool = False
    """Switch the relay, too, which calls in the other nurse call."""
    ask: bool = False
    """Somebody stands there and answers :class:`Question`."""
    press: bool = False
    """Wait, at the end, for the call button to be pressed. That press calls for help like any other."""


class Looked(Asked, tag="looked", frozen=True, kw_only=True):
    """The answer to a :class:`Question`."""

    yes: bool | None
    """None: nobody has looked."""


class Refusal(enum.StrEnum):
    """Why something was refused."""

    BAD_MESSAGE = "bad_message"
    NOT_ALLOWED = "not_allowed"
    """Who asks may not."""
    TOO_MANY = "too_many"
    IN_USE = "in_use"
    """Somebody needs the bed: a request is open, or a call is on."""
    INTERRUPTED = "interrupted"
    """Somebody needed the bed while it was tested."""
    BUSY = "busy"
    """Another self-test runs."""


class Told(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    """Base of what the bed says."""


class Refused(Told, tag="refused", frozen=True, kw_only=True):
    """No, and why."""

    code: Refusal
    message: Words
    field: Annotated[str, Meta(max_length=200)] = ""


class ButtonState(msgspec.Struct, frozen=True, kw_only=True):
    """A button, by its name in the settings: ``call``, ``bathroom``, ``staff``, ``cancel``, ``attend``."""

    name: Name
    down: bool
    pressed_ago: Millis | None = None
    """Since its last press; None: none since the start."""


class RequestState(msgspec.Struct, frozen=True, kw_only=True):
    """The request that is open."""

    state: Name
    """As in ``kiosk/bedside/STATES.md``, in small letters."""
    age: Millis
    presses: int
    priority: Priority
    origin: Origin
    place: int = 0


class CallState(msgspec.Struct, frozen=True, kw_only=True):
    """A call that is on. ``at_bed`` and ``at_seat``: how good its connection is at either end."""

    call_id: Name
    state: Name
    seat: Name
    call_type: CallType
    talking: Millis | None = None
    """For so long."""
    at_bed: Quality | None = None
    at_seat: Quality | None = None


class Levels(msgspec.Struct, frozen=True, kw_only=True):
    """How loud it is now, dBFS; None: the device is closed, as it always is when nobody calls."""

    microphone: Level | None = None
    speaker: Level | None = None


class State(Told, tag="state", frozen=True, kw_only=True):
    """How the bed is."""

    version: Name
    user_id: Name
    bed: BedInfo
    up: Millis
    """Since the start."""
    link: Literal["up", "down", "refused"]
    link_trouble: Words = ""
    """Why there is none."""
    shown: Words
    """What the patient is told."""
    request: RequestState | None = None
    calls: tuple[CallState, ...] = ()
    """With each seat one."""
    devices: Devices
    """What is wrong with them; empty: nothing is known to be."""
    camera: Words = ""
    microphone: Words = ""
    speaker: Words = ""
    """Which they are; empty: none."""
    buttons: tuple[ButtonState, ...] = ()
    lamp: bool = False
    relay: bool | None = None
    """Whether it is closed; None: there is none."""
    levels: Levels = Levels()
    testing: bool = False
    """A self-test runs."""


class Found(Told, tag="found", frozen=True, kw_only=True):
    """Something was found out."""

    finding: Finding


class Question(Told, tag="question", frozen=True, kw_only=True):
    """Does the lamp blink, or does the other nurse call ring? Without :class:`Looked` in 60 s it is left open."""

    part: Part


class PressNow(Told, tag="press_now", frozen=True, kw_only=True):
    """The call button is waited for."""


class SelfTested(Told, tag="report", frozen=True, kw_only=True):
    """The test is over."""

    report: Report


AnyAsked = AskState | RunSelfTest | Looked
AnyTold = State | Found | Question | PressNow | SelfTested | Refused

_encoder = msgspec.json.Encoder()
_asked: msgspec.json.Decoder[AnyAsked] = msgspec.json.Decoder(AnyAsked)
_told: msgspec.json.Decoder[AnyTold] = msgspec.json.Decoder(AnyTold)


def encode(message: Asked | Told) -> bytes:
    """*message* as a line."""
    return _encoder.encode(message) + b"\n"


def decode_asked(line: bytes) -> AnyAsked:
    """What was asked. Raises :exc:`~kiosk.errors.BadMessage` that names the field."""
    return decode_json(_asked, line)


def decode_told(line: bytes) -> AnyTold:
    """What the bed said. Raises :exc:`~kiosk.errors.BadMessage`."""
    return decode_json(_told, line)
