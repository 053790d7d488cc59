"""The seat page's words: two languages, every key there, every code of the wire has words. Read from the files."""

from __future__ import annotations

import re
from typing import get_args, get_type_hints

import pytest

from kiosk.desk import server
from kiosk.signaling.messages import (
    EndReason,
    ErrorCode,
    FaultKind,
    Origin,
    Priority,
    QualityLevel,
    RequestView,
    SeatState,
)

PAGE = server.PAGE
LANGUAGES = ("en", "zh")
_ENTRY = re.compile(r'^  (\w+): "((?:[^"\\]|\\.)*)",$')
_SAID = re.compile(r"(?:say|call\.lost|this\.lost|this\.tell)\(([^`\n]*?)[,)]")
_WRITTEN = re.compile(r'data-(?:text|label)="(\w+)"')
_NAMED = re.compile(r'"(\w+)"')
_BEGIN = "export default {"

MADE = {
    "end_": [reason.value for reason in EndReason],
    "fault_": [*(code.value for code in ErrorCode), "unreachable"],
    "seat_": [state.value for state in SeatState],
    "priority_": [str(priority.value) for priority in Priority],
    "request_": ["waiting", "ringing", "talking", "answered", "deferred", "called"],
    "origin_": [origin.value for origin in Origin if origin is not Origin.CALL_BUTTON],
    "bed_end_": ["rejected", "line_busy", "no_response", "failed", "hangup", "preempted", "seat_lost"],
    "device_": ["camera", "microphone", "speaker", "button", "bathroom", "staff", "journal"],
    "fault_is_": [kind.value for kind in FaultKind],
    "quality_": [str(level.value) for level in QualityLevel],
    "call_": ["connecting", "connected"],
    "member_": [
        *("asked", "joined", "ringing", "connecting", "talking", "interrupted"),
        *(reason.value for reason in EndReason),
    ],
    "group_end_": ["rejected", "no_response", "cancelled", "failed", "seat_lost", "preempted"],
}
"""Keys that are made of a prefix and a value of the wire or of the call's states."""


def words(language: str) -> dict[str, str]:
    lines = (PAGE / f"words-{language}.js").read_text().splitlines()
    body = lines[lines.index(_BEGIN) + 1 : -1]
    entries = [_ENTRY.match(line) for line in body]
    assert all(entries), f"not an entry: {body[entries.index(None)] if None in entries else ''}"
    found = [(entry[1], entry[2]) for entry in entries if entry]
    assert len(dict(found)) == len(found), "a key is there twice"
    return dict(found)


def page() -> str:
    """The page without the files that know words or the wire only by name."""
    files = [path for path in sorted(PAGE.iterdir()) if path.suffix in (".js", ".html")]
    return "\n".join(path.read_text() for path in files if not path.name.startswith(("words", "wire")))


def test_both_languages_have_the_same_keys_in_the_same_order() -> None:
    assert list(words("en")) == list(words("zh"))


def test_both_languages_fill_in_the_same_values() -> None:
    chinese = words("zh")
    for key, text in words("en").items():
        assert set(re.findall(r"\{\w+\}", text)) == set(re.findall(r"\{\w+\}", chinese[key])), key


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_key_the_page_uses_has_words(language: str) -> None:
    said = [key for argument in _SAID.findall(page()) for key in re.findall(r'(?<!= )"(\w+)"', argument)]
    used = {*said, *_WRITTEN.findall(page())}
    assert len(used) > 60
    assert used - words(language).keys() == set()


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_error_end_and_state_of_the_wire_has_words(language: str) -> None:
    made = {prefix + value for prefix, values in MADE.items() for value in values}
    assert made - words(language).keys() == set()


def test_the_states_a_request_may_have_are_those_of_the_wire() -> None:
    assert list(get_args(get_type_hints(RequestView)["state"])) == MADE["request_"]


def test_no_words_are_left_that_nothing_says() -> None:
    made = {prefix + value for prefix, values in MADE.items() for value in values}
    quoted = set(_NAMED.findall(page()))
    assert words("en").keys() - made - quoted == set()


def test_the_page_itself_holds_no_words_in_one_language() -> None:
    text = re.sub(r"<[^>]*>", " ", (PAGE / "index.html").read_text())
    assert set(re.findall(r"[A-Za-z]{3,}", text)) <= {"Seat", "SDKAppID", "UserSig"}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_reason_for_a_missing_device_has_words(language: str) -> None:
    reasons = re.findall(r'(?:: |\?\? )"(\w+)"', (PAGE / "devices.js").read_text())
    assert {"denied", "not_found", "in_use", "unknown_reason"} <= set(reasons)
    assert set(reasons) - words(language).keys() == set()
