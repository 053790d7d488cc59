"""What nobody answers: it sounds at every seat, one click takes it, and in the end the bed gives its own alarm."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import expect

from tests.e2e.conftest import Hospital, Seat, SignIn, ward_settings
from tests.e2e.wire_bed import WireBed
from tests.waiting import HANG_S

pytestmark = [pytest.mark.browser, pytest.mark.alsa, pytest.mark.promise("R08")]

QUICK = {"overdue": 1.0, "realert": 5.0, "backup_after": 600.0, "local_alarm_after": 600.0}
HANG_MS = HANG_S * 1000
COUNT_WARNINGS = """
() => {
  const Original = OscillatorNode;
  window.warnings = 0;
  window.OscillatorNode = class extends Original {
    constructor(context, options) {
      super(context, options);
      if (options.frequency === 990) window.warnings += 1 / 3;
    }
  };
}
"""


async def rests(seat: Seat) -> None:
    """The person has a break; the page may sound, since there was a click, and its warnings are counted."""
    await seat.by("rest").click()
    await seat.is_("rest")
    await seat.page.evaluate(COUNT_WARNINGS)


async def warned(seat: Seat, times: int) -> None:
    await seat.page.wait_for_function("times => Math.round(window.warnings) >= times", arg=times, timeout=HANG_MS)


async def test_an_overdue_request_sounds_again_and_is_taken_by_one_click(
    hospital: Hospital, sign_in: SignIn
) -> None:
    await hospital.opens(ward_settings(desk=QUICK))
    seat, other = await sign_in("nurse-1"), await sign_in("nurse-2")
    for each in (seat, other):
        await rests(each)
    hospital.bed.press()
    await seat.says("request-row", "OVERDUE")
    await seat.says("waiting", "Overdue: Ward 3 · 301 · 2")
    await expect(seat.page).to_have_title(re.compile("⚠ Overdue: Ward 3 · 301 · 2"), timeout=HANG_MS)
    for each in (seat, other):
        await warned(each, 2)
    await seat.by("take-request").click()
    await seat.talks()
    await expect(seat.by("incoming")).to_be_hidden()
    await seat.sees_the_bed()
    await seat.hears_the_bed()
    await hospital.bed.shows("talking")
    await expect(other.by("take-request")).to_have_count(0)
    await expect(other.page).to_have_title("Bedside calls: seat", timeout=HANG_MS)
    await seat.by("hang-up").click()
    await seat.is_("rest")


async def test_a_seat_in_a_call_is_warned_and_cannot_take_a_second_one(hospital: Hospital, sign_in: SignIn) -> None:
    await hospital.opens(ward_settings(desk=QUICK))
    assert hospital.desk is not None
    seat = await sign_in()
    hospital.bed.press()
    await seat.answers()
    await seat.page.evaluate(COUNT_WARNINGS)
    async with WireBed(hospital.ward, hospital.desk.url, room="302"):
        await warned(seat, 1)
        await expect(seat.by("take-request")).to_be_disabled()
        await seat.talks()


async def test_what_somebody_else_was_quicker_to_take_is_said_in_words(hospital: Hospital, sign_in: SignIn) -> None:
    await hospital.opens(ward_settings(desk=QUICK))
    seat = await sign_in()
    await rests(seat)
    hospital.bed.press()
    take = seat.by("take-request")
    await expect(take).to_be_enabled(timeout=HANG_MS)
    # The board does not come before the click: this page does not know yet that the bed has cancelled.
    click = "button => { window.late = button.onclick; }"
    await take.evaluate(click)
    hospital.bed.press("cancel hold")
    await seat.nobody_waits()
    await seat.page.evaluate("window.late()")
    await seat.says("status", "There is no such open request any more.")


async def test_in_the_end_the_bed_says_that_nobody_has_come(hospital: Hospital, sign_in: SignIn) -> None:
    await hospital.opens(ward_settings(desk=QUICK | {"backup_after": 1.0, "local_alarm_after": 2.0}))
    seat = await sign_in()
    await rests(seat)
    hospital.bed.press()
    await hospital.bed.shows("alarm")
    await seat.by("take-request").click()
    await hospital.bed.shows("talking")


async def test_an_emergency_takes_the_ringing_seat_and_the_other_call_rings_again_afterwards(
    hospital: Hospital, sign_in: SignIn
) -> None:
    await hospital.opens()
    assert hospital.desk is not None
    seat = await sign_in()
    hospital.bed.press()
    await expect(seat.page.locator("#incoming-title")).to_contain_text("301", timeout=HANG_MS)
    async with WireBed(hospital.ward, hospital.desk.url, room="302", priority=2) as emergency:
        await emergency.invites()
        await expect(seat.page.locator("#incoming-title")).to_contain_text("302", timeout=HANG_MS)
        await seat.says("status", "An emergency goes first")
        await hospital.bed.shows("queued")
        await seat.by("reject").click()
        await expect(seat.page.locator("#incoming-title")).to_contain_text("301", timeout=HANG_MS)
