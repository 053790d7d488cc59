"""A seat calls a bed, for real: light and ring first, nothing captured, and who answers decides the facility."""

from __future__ import annotations

import asyncio

import pytest
from playwright.async_api import expect

from kiosk import settings
from kiosk.media.ring_tone import NOTES_HZ
from tests.e2e.conftest import Hospital, Seat, SignIn, ward_settings
from tests.waiting import HANG_S, until

pytestmark = [pytest.mark.browser, pytest.mark.alsa, pytest.mark.promise("R06")]


async def finds_and_calls(seat: Seat, button: str = "call-bed") -> None:
    await seat.by("find-beds").click()
    await seat.by("find-text").fill("301")
    await expect(seat.by("found-bed")).to_have_count(1, timeout=HANG_S * 1000)
    await seat.by(button).click()


async def ring_is_heard(hospital: Hospital) -> None:
    """One of the ring's notes is the strongest at the bed's speaker."""
    async with asyncio.timeout(HANG_S):
        hz, clear = 0.0, 0.0
        while clear < 3 or min(abs(hz - note) for note in NOTES_HZ) > 8:
            hz, clear = await hospital.bed_plays()


def happened(hospital: Hospital) -> list[str]:
    return [moment.event for moment in hospital.bed.process.moments()]


def streams(hospital: Hospital) -> list[str]:
    return hospital.pulse.streams_of(hospital.bed.process.process.pid)


async def test_the_patient_answers_and_nothing_is_captured_before(hospital: Hospital, sign_in: SignIn) -> None:
    await hospital.opens()
    seat = await sign_in()
    await finds_and_calls(seat, "call-bed-video")
    await seat.says("calling-words", "It rings at Ward 3 · 301 · 2")
    await hospital.bed.shows("seat_calls")
    await ring_is_heard(hospital)
    assert "source-outputs" not in streams(hospital)
    told = happened(hospital)
    assert told.index("shows seat_calls") < told.index("ring")
    assert "opened microphone" not in told
    assert "opened camera" not in told
    hospital.bed.press()
    await seat.talks()
    await hospital.bed.shows("talking")
    await asyncio.gather(seat.sees_the_bed(), seat.hears_the_bed(), hospital.bed_hears_the_seat())
    told = happened(hospital)
    assert told.index("ring") < min(told.index("opened microphone"), told.index("opened camera"))
    await seat.by("hang-up").click()
    await hospital.bed.shows("ready")
    await seat.says("status", "The call has ended after")
    await seat.nobody_waits()
    await until(lambda: not streams(hospital), "nothing is open when idle")


async def test_a_bed_may_answer_by_itself_after_it_has_rung(hospital: Hospital, sign_in: SignIn) -> None:
    await hospital.opens(ward_settings(call=settings.Call(answer="auto", answer_after=3.0)))
    seat = await sign_in()
    await finds_and_calls(seat)
    await hospital.bed.shows("talking")
    await seat.talks()
    await expect(seat.by("remote-video")).to_be_hidden()
    await asyncio.gather(seat.hears_the_bed(), hospital.bed_hears_the_seat())
    told = happened(hospital)
    assert hospital.bed.shown()[-2:] == ["seat_calls_by_itself", "talking"]
    assert told.index("shows seat_calls_by_itself") < told.index("ring") < told.index("opened microphone")
    assert "opened camera" not in told, "audio was asked for"
    hospital.bed.press("cancel tap")
    await hospital.bed.shows("ready")
    await seat.nobody_waits()


async def test_the_patient_declines_and_the_seat_takes_a_call_back(hospital: Hospital, sign_in: SignIn) -> None:
    await hospital.opens()
    seat = await sign_in()
    await finds_and_calls(seat)
    await hospital.bed.shows("seat_calls")
    hospital.bed.press("cancel tap")
    await seat.says("status", "The patient has declined.")
    await hospital.bed.shows("ready")
    await seat.by("call-bed").click()
    await hospital.bed.shows("seat_calls")
    await seat.by("cancel-call").click()
    await hospital.bed.shows("ready")
    await seat.is_("free")
    assert "opened microphone" not in happened(hospital)


async def test_a_seat_that_vanishes_while_it_calls_leaves_the_press_as_a_request(
    hospital: Hospital, sign_in: SignIn
) -> None:
    await hospital.opens()
    seat, other = await sign_in(), await sign_in("nurse-2")
    await finds_and_calls(seat)
    await hospital.bed.shows("seat_calls")
    hospital.bed.process.hand("media stall")
    hospital.bed.press()
    await hospital.bed.shows("answering")
    await seat.page.close()
    hospital.bed.process.hand("media pass")
    await other.answers()
    await hospital.bed.shows("talking")


async def test_a_bed_whose_patient_waits_is_taken_by_calling_it(hospital: Hospital, sign_in: SignIn) -> None:
    await hospital.opens()
    seat = await sign_in()
    await seat.by("rest").click()
    await seat.is_("rest")
    hospital.bed.press()
    await hospital.bed.shows("queued")
    await finds_and_calls(seat)
    await seat.talks()
    await hospital.bed.shows("talking")
    assert "seat_calls" not in hospital.bed.shown()


async def test_who_was_spoken_with_is_called_again(hospital: Hospital, sign_in: SignIn) -> None:
    await hospital.opens()
    seat = await sign_in()
    hospital.bed.press()
    await seat.answers()
    await seat.by("hang-up").click()
    await hospital.bed.shows("answered")
    await seat.by("call-again").click()
    await hospital.bed.shows("seat_calls")
    await seat.request_is("called")
    hospital.bed.press()
    await seat.talks()
    await hospital.bed.shows("talking")
    await seat.by("hang-up").click()
    await hospital.bed.shows("answered")
    await seat.request_is("answered")
    await seat.says("status", "Somebody has to go to the bed.")


@pytest.mark.promise("R01")
async def test_a_talk_that_a_seat_began_outlives_the_desk(hospital: Hospital, sign_in: SignIn) -> None:
    await hospital.opens()
    seat = await sign_in()
    await finds_and_calls(seat)
    await hospital.bed.shows("seat_calls")
    hospital.bed.press()
    await seat.talks()
    await hospital.desk_restarts()
    await seat.request_is("talking")
    await seat.is_("busy")
    await asyncio.gather(seat.hears_the_bed(), hospital.bed_hears_the_seat())
    await seat.by("hang-up").click()
    await hospital.bed.shows("ready")
    await seat.nobody_waits()


@pytest.mark.promise("R15")
async def test_cord_and_staff_button_ring_as_what_they_are(hospital: Hospital, sign_in: SignIn) -> None:
    made = ward_settings(buttons=settings.Buttons(simulated=True, bathroom_pin=24, staff_pin=25))
    await hospital.opens(made)
    seat = await sign_in()
    hospital.bed.press("bathroom tap")
    await seat.rings()
    await seat.says("incoming", "urgent")
    await seat.says("incoming", "bathroom")
    hospital.bed.press("staff tap")
    await seat.by("reject").click()
    await seat.says("request-row", "emergency")
    await seat.says("request-row", "staff need help")
    hospital.bed.press("cancel hold 1.2")
    await seat.says("request-row", "pressed 2")
    hospital.bed.press("attend tap")
    await seat.nobody_waits()
