"""What is said on the control socket is understood whole, or refused with the field that is wrong."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiosk.check.findings import Part, Report, faulty, fine
from kiosk.control import messages
from kiosk.control.messages import AnyAsked, AnyTold, Refusal
from kiosk.errors import BadMessage
from kiosk.signaling.messages import BedInfo, CallType, Devices, Origin, Priority, Quality, QualityLevel

ASKED: list[AnyAsked] = [
    messages.AskState(),
    messages.RunSelfTest(parts=(Part.LAMP, Part.DISK), relay=True, ask=True, press=True),
    messages.RunSelfTest(),
    messages.Looked(yes=True),
    messages.Looked(yes=None),
]
QUALITY = Quality(call_id="c1", quality=QualityLevel.POOR, loss_in=0.05, rtt_ms=30, fps=25, concealed=0.01)
TOLD: list[AnyTold] = [
    messages.Refused(code=Refusal.IN_USE, message="somebody needs this bed"),
    messages.Found(finding=faulty(Part.LAMP, "lamp_stays_dark")),
    messages.Question(part=Part.LAMP),
    messages.PressNow(),
    messages.SelfTested(report=Report(at=1, version="1", findings=(fine(Part.DISK, "disk_ok", free_mb=1),))),
    messages.State(
        version="1",
        user_id="bed-1",
        bed=BedInfo(group="ward"),
        up=5,
        link="up",
        shown="Press the button when you need help.",
        request=messages.RequestState(
            state="talking", age=1, presses=2, priority=Priority.URGENT, origin=Origin.BATHROOM
        ),
        calls=(
            messages.CallState(
                call_id="c1", state="connected", seat="nurse-1", call_type=CallType.VIDEO, talking=9, at_bed=QUALITY
            ),
        ),
        devices=Devices(camera="it was unplugged"),
        buttons=(messages.ButtonState(name="call", down=False, pressed_ago=12),),
        levels=messages.Levels(microphone=-40.5),
    ),
]


@pytest.mark.parametrize("message", ASKED)
def test_what_is_asked_arrives_as_it_was_sent(message: AnyAsked) -> None:
    line = messages.encode(message)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert len(line) <= messages.MAX_ASKED_BYTES
    assert messages.decode_asked(line) == message


@pytest.mark.parametrize("message", TOLD)
def test_what_is_told_arrives_as_it_was_sent(message: AnyTold) -> None:
    assert messages.decode_told(messages.encode(message)) == message


@pytest.mark.parametrize(
    ("line", "field"),
    [
        (b"{}", "type"),
        (b'{"type":"reboot"}', "type"),
        (b'{"type":"ask_state","more":1}', "more"),
        (b'{"type":"run_self_test","parts":["engine"]}', "parts[0]"),
        (b'{"type":"run_self_test","relay":"yes"}', "relay"),
        (b'{"type":"looked"}', "yes"),
        (b"[1]", ""),
        (b"ask_state", ""),
        (b"[" * 4000, ""),
        (b"\xff\xfe", ""),
    ],
)
def test_what_is_wrong_is_refused_with_its_field(line: bytes, field: str) -> None:
    with pytest.raises(BadMessage) as refused:
        messages.decode_asked(line)
    assert refused.value.field == field


@given(st.binary(max_size=200))
def test_whatever_comes_is_a_message_or_refused(line: bytes) -> None:
    for decode in (messages.decode_asked, messages.decode_told):
        with contextlib.suppress(BadMessage):
            assert decode(line)
