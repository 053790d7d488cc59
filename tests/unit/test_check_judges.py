"""What is to be said of pins, network, time, desk, TURN servers and disk."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiosk.check import around, pins
from kiosk.check.around import Clock, DeskSeen, Disk, Interface, Ticket
from kiosk.check.findings import (
    MAX_FIGURE_CHARS,
    Finding,
    Part,
    Report,
    Verdict,
    faulty,
    fine,
    skipped,
    worst,
)
from kiosk.check.pins import Driven, Line
from kiosk.usersig import CLOCK_SKEW_S

OK, WARNING, FAULT, SKIPPED = Verdict.OK, Verdict.WARNING, Verdict.FAULT, Verdict.SKIPPED
DAY_S = 24 * 3600
NOW = 1_800_000_000.0
URL = "wss://desk.example/ws"


def told(finding: Finding) -> tuple[Verdict, str]:
    return finding.verdict, finding.code


# -- pins


@pytest.mark.parametrize(
    ("closed_at_rest", "levels", "verdict", "code"),
    [
        (False, (False,) * 10, OK, "button_at_rest"),
        (False, (False, True, False), OK, "button_at_rest"),
        (False, (True,) * 10, FAULT, "button_down"),
        (True, (False,) * 10, OK, "button_supervised"),
        (True, (True,) * 10, FAULT, "button_line_open"),
    ],
)
def test_a_line_is_at_rest_or_down_or_open(
    closed_at_rest: bool, levels: tuple[bool, ...], verdict: Verdict, code: str
) -> None:
    finding = pins.judge_line(Line("bathroom", closed_at_rest, levels))
    assert told(finding) == (verdict, code)
    assert finding.figures == {"name": "bathroom"}


def test_a_press_comes_or_does_not() -> None:
    assert told(pins.judge_press("call", after_s=2.34)) == (OK, "button_pressed")
    assert told(pins.judge_press("call", after_s=None)) == (FAULT, "button_not_pressed")


@pytest.mark.parametrize(
    ("driven", "verdict", "code"),
    [
        (Driven(True, False), OK, "lamp_unseen"),
        (Driven(True, False, seen=True), OK, "lamp_seen"),
        (Driven(True, False, seen=False), FAULT, "lamp_seen_dark"),
        (Driven(False, False), FAULT, "lamp_stays_dark"),
        (Driven(True, True), FAULT, "lamp_stays_lit"),
        (Driven(False, True), FAULT, "lamp_stays_lit"),
    ],
)
def test_the_lamp_is_judged_by_its_pin_and_by_whoever_looked(driven: Driven, verdict: Verdict, code: str) -> None:
    assert told(pins.judge_lamp(driven)) == (verdict, code)


@pytest.mark.parametrize(
    ("driven", "verdict", "code"),
    [
        (None, SKIPPED, "relay_not_switched"),
        (Driven(True, False), OK, "relay_unheard"),
        (Driven(True, False, seen=True), OK, "relay_heard"),
        (Driven(True, False, seen=False), FAULT, "relay_not_heard"),
        (Driven(False, False), FAULT, "relay_stays_open"),
        (Driven(True, True), FAULT, "relay_stays_closed"),
    ],
)
def test_the_relay_is_judged_by_its_pin_and_by_whoever_listened(
    driven: Driven | None, verdict: Verdict, code: str
) -> None:
    assert told(pins.judge_relay(driven, at_rest_closed=False)) == (verdict, code)


def test_a_relay_that_is_closed_at_rest_calls_for_ever() -> None:
    assert told(pins.judge_relay(None, at_rest_closed=True)) == (FAULT, "relay_stays_closed")


# -- network


WIRED = Interface("eth0", ("10.1.2.3",), up=True)
UNPLUGGED = Interface("eth0", (), up=False)


@pytest.mark.parametrize(
    ("interfaces", "wanted", "here", "verdict", "code"),
    [
        ([WIRED], (), False, OK, "network_ok"),
        ([Interface("wlan0", ("10.1.2.3",))], (), False, OK, "network_ok"),
        ([WIRED], ("10.1.2.3",), False, OK, "network_ok"),
        ([WIRED], ("10.9.9.9",), False, FAULT, "network_address_missing"),
        ([], ("10.9.9.9",), True, FAULT, "network_address_missing"),
        ([UNPLUGGED], (), False, FAULT, "network_down"),
        ([Interface("eth0", ("10.1.2.3",), up=False)], (), False, FAULT, "network_down"),
        ([], (), False, FAULT, "network_none"),
        ([Interface("wlan0", (), up=True)], (), False, FAULT, "network_none"),
        ([UNPLUGGED], (), True, OK, "network_this_machine"),
    ],
)
def test_the_network_has_an_address_and_the_one_that_is_wanted(
    interfaces: list[Interface], wanted: tuple[str, ...], here: bool, verdict: Verdict, code: str
) -> None:
    assert told(around.judge_network(interfaces, wanted=wanted, only_this_machine=here)) == (verdict, code)


def test_a_machine_with_many_addresses_names_some() -> None:
    many = [Interface(f"eth{number}", (f"10.0.0.{number}",), up=True) for number in range(9)]
    named = str(around.judge_network(many, wanted=(), only_this_machine=False).figures["addresses"])
    assert named.startswith("eth0 10.0.0.0, eth1 ")
    assert named.endswith(", …")
    assert named.count("eth") == around.LISTED


# -- time


@pytest.mark.parametrize(
    ("clock", "verdict", "code"),
    [
        (Clock(), SKIPPED, "time_unknown"),
        (Clock(synchronised=True), OK, "time_kept"),
        (Clock(synchronised=False), WARNING, "time_not_kept"),
        (Clock(skew_s=0.0, synchronised=True), OK, "time_ok"),
        (Clock(skew_s=3.0), OK, "time_ok"),
        (Clock(skew_s=0.0, synchronised=False), WARNING, "time_right_not_kept"),
        (Clock(skew_s=-11.0, synchronised=True), WARNING, "time_off"),
        (Clock(skew_s=CLOCK_SKEW_S + 1.0), FAULT, "time_wrong"),
        (Clock(skew_s=-CLOCK_SKEW_S - 1.0), FAULT, "time_wrong"),
    ],
)
def test_the_time_is_right_or_off_or_wrong(clock: Clock, verdict: Verdict, code: str) -> None:
    assert told(around.judge_clock(clock)) == (verdict, code)


@given(
    real=st.floats(2, 1e6),
    ahead=st.floats(-1e5, 1e5),
    there=st.floats(0, 5),
    back=st.floats(0, 5),
    stale=st.floats(0, 1),
)
def test_the_skew_is_never_told_larger_than_it_is(
    real: float, ahead: float, there: float, back: float, stale: float
) -> None:
    date = float(int(real + there - stale))  # whole seconds, and not renewed for each answer
    found = around.skew(asked_at=real + ahead, answered_at=real + there + back + ahead, told=date)
    assert abs(found) <= abs(ahead) + 1e-6
    assert abs(found - ahead) <= there + back + around.DATE_STEP_S + 1e-6


# -- the desk


@pytest.mark.parametrize(
    ("seen", "verdict", "code"),
    [
        (DeskSeen(URL), OK, "desk_ok"),
        (DeskSeen(URL, why="it does not answer"), FAULT, "desk_unreachable"),
        (DeskSeen(URL, why="the UserSig expired", refused=True), FAULT, "desk_refuses"),
    ],
)
def test_the_desk_lets_the_bed_in_or_says_why_not(seen: DeskSeen, verdict: Verdict, code: str) -> None:
    (finding,) = around.judge_desk(seen, certificate_ends=None, now=NOW)
    assert told(finding) == (verdict, code)


@pytest.mark.parametrize(("days", "verdict"), [(31, OK), (30, WARNING), (0, WARNING)])
def test_a_certificate_that_ends_soon_is_told(days: int, verdict: Verdict) -> None:
    ends = NOW + days * DAY_S + 60
    _, certificate = around.judge_desk(DeskSeen(URL), certificate_ends=ends, now=NOW)
    assert (certificate.verdict, certificate.figures) == (verdict, {"days": days})


@pytest.mark.parametrize(
    ("ticket", "verdict", "code"),
    [
        (Ticket(expires_at=NOW + 15 * DAY_S), OK, "user_sig_ok"),
        (Ticket(expires_at=NOW + 14 * DAY_S), WARNING, "user_sig_ends"),
        (Ticket(expires_at=NOW), FAULT, "user_sig_expired"),
        (Ticket(fault="user_sig: there is no such file"), FAULT, "user_sig_unreadable"),
    ],
)
def test_a_ticket_is_good_or_ends_or_has_ended(ticket: Ticket, verdict: Verdict, code: str) -> None:
    assert told(around.judge_ticket(ticket, now=NOW)) == (verdict, code)


# -- TURN


@pytest.mark.parametrize(
    ("answers", "relay_only", "verdict", "code"),
    [
        ({}, False, SKIPPED, "turn_none"),
        (None, False, SKIPPED, "turn_unknown"),
        ({}, True, FAULT, "turn_needed"),
        (None, True, FAULT, "turn_needed"),
        ({"turn:a": True, "turn:b": True}, False, OK, "turn_ok"),
        ({"turn:a": True, "turn:b": False}, True, WARNING, "turn_some_silent"),
        ({"turn:a": False}, False, FAULT, "turn_all_silent"),
    ],
)
def test_turn_servers_answer_or_are_named(
    answers: Mapping[str, bool] | None, relay_only: bool, verdict: Verdict, code: str
) -> None:
    assert told(around.judge_turn(answers, relay_only=relay_only)) == (verdict, code)


# -- the disk


@pytest.mark.parametrize(
    ("disk", "verdict", "code"),
    [
        (Disk(free_mb=1000, sync_s=0.01), OK, "disk_ok"),
        (Disk(free_mb=49, sync_s=0.01), WARNING, "disk_low"),
        (Disk(free_mb=1, sync_s=0.01), FAULT, "disk_full"),
        (Disk(free_mb=1000, sync_s=0.3), WARNING, "disk_slow"),
        (Disk(free_mb=1000, sync_s=1.5), FAULT, "disk_too_slow"),
        (Disk(fault="state: Read-only file system"), FAULT, "disk_fault"),
    ],
)
def test_a_press_can_be_kept_over_a_power_cut_or_not(disk: Disk, verdict: Verdict, code: str) -> None:
    assert told(around.judge_disk(disk)) == (verdict, code)


# -- the report


def test_the_worst_counts_and_what_was_skipped_does_not() -> None:
    good, left_out = fine(Part.DISK, "disk_ok"), skipped(Part.RELAY, "relay_none")
    assert Report(at=1, version="1", findings=(good, left_out)).verdict is OK
    assert Report(at=1, version="1", findings=(good, faulty(Part.LAMP, "lamp_stays_dark"))).verdict is FAULT
    assert Report(at=1, version="1", findings=(left_out,)).verdict is SKIPPED
    assert worst([]) is SKIPPED


def test_somebody_elses_words_are_cut_to_what_may_be_sent() -> None:
    finding = faulty(Part.CAMERA, "device_fault", why="x" * 10_000)
    assert len(str(finding.figures["why"])) == MAX_FIGURE_CHARS
