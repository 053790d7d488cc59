"""What survives a power cut: whatever is cut off or damaged, the journal tells only what was once written."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kiosk.bedside.journal import MAX_AWAY_MS, Kept, KeptRequest, Record, Replay, encode, scan, told
from kiosk.signaling.messages import ClosedRequest, CloseReason, OpenRequest, Phase

pytestmark = pytest.mark.promise("R02")

AT = 1_800_000_000_000
TOKENS = st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True)
KEPT = st.builds(
    Kept,
    request=st.none()
    | st.builds(
        KeptRequest,
        request_id=TOKENS,
        age=st.integers(0, 10**9),
        presses=st.integers(1, 99),
        phase=st.sampled_from([Phase.WAITING, Phase.ANSWERED]),
        spoken=st.booleans(),
        waited=st.none() | st.integers(0, 10**9),
        alarm=st.booleans(),
    ),
    closed=st.lists(
        st.builds(ClosedRequest, request_id=TOKENS, reason=st.sampled_from(CloseReason)), max_size=3
    ).map(tuple),
)
HISTORIES = st.lists(KEPT, min_size=1, max_size=6)
EVERY_BYTE = settings(max_examples=50, deadline=None)
"""An example is some thousand damaged journals."""
RAISED = KeptRequest(request_id="r1", age=0)
PRESS = Kept(request=RAISED)
AGAIN = Kept(request=KeptRequest(request_id="r1", age=900, presses=2))
DONE = Kept(closed=(ClosedRequest(request_id="r1", reason=CloseReason.ATTENDED),))


def written(history: Sequence[Kept], *, first: int = 1) -> list[bytes]:
    return [encode(Record(seq=first + number, at=AT, kept=kept)) for number, kept in enumerate(history)]


def survives(raw: bytes) -> Kept:
    return scan(raw).kept(now=AT)


def test_an_empty_journal_holds_nothing_and_is_in_order() -> None:
    assert scan(b"") == Replay()
    assert survives(b"") == Kept()
    assert scan(b"").seq == 0


@settings(deadline=None)
@given(HISTORIES)
def test_the_newest_record_is_what_survives(history: list[Kept]) -> None:
    raw = b"".join(written(history))
    assert survives(raw) == history[-1]
    assert (scan(raw).damage, scan(raw).seq) == ("", len(history))


@EVERY_BYTE
@given(HISTORIES)
def test_a_journal_cut_anywhere_tells_the_last_record_that_is_whole(history: list[Kept]) -> None:
    records = written(history)
    raw = b"".join(records)
    for length in range(len(raw) + 1):
        whole = 0
        while whole < len(records) and length >= len(b"".join(records[: whole + 1])) - 1:
            whole += 1
        replay = scan(raw[:length])
        assert replay.kept(now=AT) == (history[whole - 1] if whole else Kept())
        over = length - len(b"".join(records[:whole]))
        assert bool(replay.damage) == (over > 1), "only a lone newline of the next record goes unsaid"


@EVERY_BYTE
@given(HISTORIES, st.integers(1, 255))
def test_one_damaged_byte_anywhere_costs_no_record_but_its_own(history: list[Kept], damage: int) -> None:
    records = written(history)
    raw = bytearray(b"".join(records))
    newest_begins = len(raw) - len(records[-1])
    before = history[-2] if len(history) > 1 else Kept()
    for place in range(len(raw)):
        raw[place] ^= damage
        allowed = [history[-1]] if place < newest_begins else [history[-1], before]
        assert survives(bytes(raw)) in allowed, f"byte {place}"
        raw[place] ^= damage


@settings(deadline=None)
@given(st.binary(max_size=400) | st.lists(st.sampled_from([b"\n", b" ", b"00000000 {}", *written([PRESS, DONE])])))
def test_whatever_the_file_holds_nothing_is_raised_and_nothing_invented(raw: bytes | list[bytes]) -> None:
    content = raw if isinstance(raw, bytes) else b"".join(raw)
    assert survives(content) in (Kept(), PRESS, DONE)


def test_appending_after_a_torn_record_needs_no_repair() -> None:
    first, torn, last = written([PRESS, AGAIN, DONE])
    raw = first + torn[:20] + last
    assert survives(raw) == DONE
    assert scan(raw).damage == "1 older record is damaged"


def test_damage_is_told_in_words() -> None:
    first, second, third = written([PRESS, AGAIN, DONE])
    assert scan(first[:-9] + second[:-9] + third).damage == "2 older records are damaged"
    assert scan(first + second[:-2]).damage == "the newest record is damaged: a press may be missing"


def test_an_older_record_further_back_in_the_file_does_not_count() -> None:
    assert survives(b"".join(written([PRESS, AGAIN], first=7) + written([DONE]))) == AGAIN


@pytest.mark.parametrize("body", [b"{}", b'"\xff"', b"[" * 9999, b'{"seq":1,"at":0,"kept":{"request":{}}}'])
def test_a_record_of_another_version_is_damage_and_no_reason_to_stop(body: bytes) -> None:
    strange = b"\n%08x %b\n" % (zlib.crc32(body), body)
    assert survives(written([PRESS])[0] + strange) == PRESS
    assert scan(strange).damage


@pytest.mark.parametrize(
    ("away", "added"), [(0, 0), (90_000, 90_000), (-5_000, 0), (MAX_AWAY_MS, MAX_AWAY_MS), (MAX_AWAY_MS + 1, 0)]
)
def test_a_request_ages_without_power_unless_the_clock_is_not_to_be_believed(away: int, added: int) -> None:
    replay = scan(written([AGAIN])[0])
    request = replay.kept(now=AT + away).request
    assert request is not None
    assert request.age == 900 + added
    assert request.waited is None


def test_what_waits_anew_since_a_press_ages_with_it() -> None:
    asked_again = Kept(request=KeptRequest(request_id="r1", age=900, waited=300))
    request = scan(written([asked_again])[0]).kept(now=AT + 5).request
    assert request is not None
    assert (request.age, request.waited) == (905, 305)


def test_a_record_of_the_form_before_the_alarm_was_kept_is_still_read() -> None:
    raw = (
        b'\na7b47926 {"seq":7,"at":1800000000000,"kept":{"request":{"request_id":"r1","age":900,"presses":2,'
        b'"phase":"answered","spoken":true},"closed":[{"request_id":"r0","reason":"attended"}]}}\n'
    )
    kept = survives(raw)
    assert kept.request == KeptRequest(
        request_id="r1", age=900, presses=2, phase=Phase.ANSWERED, spoken=True, waited=None, alarm=False
    )
    assert kept.closed == (ClosedRequest(request_id="r0", reason=CloseReason.ATTENDED),)


def test_closes_have_no_age() -> None:
    assert scan(written([DONE])[0]).kept(now=AT + 5) == DONE


def test_growing_older_is_no_news() -> None:
    older = Kept(request=msgspec.structs.replace(RAISED, age=7))
    assert PRESS.says_the_same_as(older)
    asked = Kept(request=msgspec.structs.replace(RAISED, waited=3))
    assert asked.says_the_same_as(Kept(request=msgspec.structs.replace(RAISED, age=9, waited=8)))
    assert not PRESS.says_the_same_as(asked)
    assert not PRESS.says_the_same_as(Kept(request=msgspec.structs.replace(RAISED, alarm=True)))
    assert not PRESS.says_the_same_as(AGAIN)
    assert not PRESS.says_the_same_as(Kept())
    assert DONE.says_the_same_as(DONE)


@pytest.mark.parametrize(
    ("phase", "kept"),
    [
        (Phase.WAITING, Phase.WAITING),
        (Phase.TALKING, Phase.WAITING),
        (Phase.ANSWERED, Phase.ANSWERED),
    ],
)
def test_a_call_does_not_survive_but_an_answer_does(phase: Phase, kept: Phase) -> None:
    request = told(OpenRequest(request_id="r1", age=5, phase=phase), (), spoken=False).request
    assert request is not None
    assert request.phase is kept


@pytest.mark.parametrize(("before", "now"), [(True, False), (False, True)])
def test_speech_survives_also_the_speech_of_the_call_that_is_on(before: bool, now: bool) -> None:
    request = told(OpenRequest(request_id="r1", age=5, spoken=before), (), spoken=now).request
    assert request is not None
    assert request.spoken


@pytest.mark.parametrize("alarm", [True, False])
def test_the_alarm_and_since_when_it_waits_anew_survive(alarm: bool) -> None:
    request = told(OpenRequest(request_id="r1", age=5, waited=3), (), spoken=False, alarm=alarm).request
    assert request == KeptRequest(request_id="r1", age=5, waited=3, alarm=alarm)


def test_without_a_request_the_closes_are_kept() -> None:
    assert told(None, DONE.closed, spoken=False) == DONE
