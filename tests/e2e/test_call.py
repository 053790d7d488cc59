"""The main job: one press, a seat rings, both see and hear each other, for real."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest
from playwright.async_api import expect

from kiosk import settings
from tests.e2e.conftest import Hospital, SignIn, ward_settings
from tests.waiting import HANG_S, until

pytestmark = [pytest.mark.browser, pytest.mark.alsa]


async def test_a_video_call_hung_up_at_the_seat(hospital: Hospital, sign_in: SignIn) -> None:
    await hospital.opens()
    seat = await sign_in()
    hospital.bed.press()
    await seat.rings()
    await hospital.bed.shows("ringing")
    await expect(seat.by("incoming")).to_contain_text("Ward 3 · 301 · 2")
    await seat.answers()
    await hospital.bed.shows("talking")
    await asyncio.gather(seat.sees_the_bed(), seat.hears_the_bed(), hospital.bed_hears_the_seat())
    await expect(seat.by("own-video")).to_be_visible()
    await seat.by("hang-up").click()
    await hospital.bed.shows("answered")
    await seat.request_is("answered")
    assert hospital.bed.told()[:3] == ["onUserInviting", "onUserAccept", "onCallBegin"]
    assert hospital.bed.told()[-1] == "onCallEnd"
    hospital.bed.press("attend tap")
    await hospital.bed.shows("ready")
    await seat.nobody_waits()


async def test_the_levels_of_both_ends_are_shown(hospital: Hospital, sign_in: SignIn) -> None:
    await hospital.opens()
    seat = await sign_in()
    hospital.bed.press()
    await seat.answers()
    for meter in ("far-level", "own-level"):
        await seat.page.wait_for_function(
            "id => document.getElementById(id).value > -50", arg=meter, timeout=HANG_S * 1000
        )
    await seat.page.keyboard.press("m")
    await seat.page.wait_for_function(
        "() => { const meter = document.getElementById('own-level'); return meter.value === meter.min; }",
        timeout=HANG_S * 1000,
    )
    await seat.by("hang-up").click()


async def test_what_the_cameras_own_encoder_makes_is_seen(hospital: Hospital, sign_in: SignIn) -> None:
    await hospital.opens(ward_settings(video=settings.Video(camera="test-h264")))
    seat = await sign_in()
    hospital.bed.press()
    await seat.answers()
    await seat.sees_the_bed()
    await seat.hears_the_bed()
    await seat.by("hang-up").click()
    await seat.request_is("answered")


async def test_an_audio_call_hung_up_at_the_bed(hospital: Hospital, sign_in: SignIn) -> None:
    await hospital.opens(ward_settings(call=settings.Call(type="audio")))
    seat = await sign_in()
    hospital.bed.press()
    await seat.answers()
    await hospital.bed.shows("talking")
    await expect(seat.by("remote-video")).to_be_hidden()
    await asyncio.gather(seat.hears_the_bed(), hospital.bed_hears_the_seat())
    hospital.bed.press("cancel tap")
    await hospital.bed.shows("answered")
    await expect(seat.by("call-view")).to_be_hidden()
    await seat.request_is("answered")


async def test_after_real_speech_the_seat_may_close_the_request(hospital: Hospital, sign_in: SignIn) -> None:
    await hospital.opens()
    seat = await sign_in()
    hospital.bed.press()
    await seat.answers()
    await asyncio.gather(seat.hears_the_bed(), hospital.bed_hears_the_seat())
    # Speech counts after a second above the threshold in each direction; the tones have sounded for longer by now.
    for _ in range(3):
        await hospital.bed_plays()
    await seat.by("hang-up").click()
    await seat.page.get_by_role("button", name="Close request").click(timeout=HANG_S * 1000)
    await seat.nobody_waits()
    await hospital.bed.shows("ready")


async def test_the_seat_mutes_turns_its_camera_off_and_goes_on_without_pictures(
    hospital: Hospital, sign_in: SignIn
) -> None:
    await hospital.opens()
    seat = await sign_in()
    hospital.bed.press()
    await seat.answers()
    await expect(seat.by("own-video")).to_be_visible()
    await until(lambda: "onUserVideoAvailable" in hospital.bed.told())
    await seat.page.keyboard.press("m")
    await expect(seat.by("mute")).to_have_attribute("aria-pressed", "true")
    await seat.by("camera").click()
    await expect(seat.by("own-video")).to_be_hidden()
    await until(lambda: hospital.bed.told().count("onUserVideoAvailable") == 2)
    await until(lambda: hospital.bed.told().count("onUserAudioAvailable") == 2)
    await seat.by("switch-to-audio").click()
    await expect(seat.by("remote-video")).to_be_hidden()
    await until(lambda: "onCallMediaTypeChanged" in hospital.bed.told())
    await seat.hears_the_bed()
    await seat.page.keyboard.press("h")
    await hospital.bed.shows("answered")


async def test_a_rejected_call_rings_at_the_second_seat(hospital: Hospital, sign_in: SignIn) -> None:
    await hospital.opens()
    first, second = await sign_in("nurse-1"), await sign_in("nurse-2")
    hospital.bed.press()
    await first.rings()
    await second.is_silent()
    await first.page.keyboard.press("Escape")
    await second.answers()
    await first.is_silent()
    await hospital.bed.shows("talking")
    assert "onUserReject" in hospital.bed.told()
    await second.sees_the_bed()


async def test_an_unanswered_call_rings_at_the_second_seat(hospital: Hospital, sign_in: SignIn) -> None:
    await hospital.opens(ward_settings(desk={"ring_timeout": 2.0}))
    first, second = await sign_in("nurse-1"), await sign_in("nurse-2")
    hospital.bed.press()
    await first.rings()
    await second.answers()
    await first.is_silent()
    await expect(first.by("status")).to_contain_text("Not answered in time")
    assert "onUserNoResponse" in hospital.bed.told()


async def test_when_all_are_busy_a_request_queues_and_is_served(hospital: Hospital, sign_in: SignIn) -> None:
    await hospital.opens()
    seat = await sign_in()
    assert hospital.desk is not None
    other = await hospital.bed_starts(hospital.desk.url, user_id="bed-302-1")
    await other.shows("ready")
    hospital.bed.press()
    await seat.answers()
    other.press()
    await other.shows("queued")
    await seat.by("hang-up").click()
    await seat.answers()
    await other.shows("talking")


async def test_the_more_urgent_request_is_served_first(hospital: Hospital, sign_in: SignIn) -> None:
    await hospital.opens()
    seat = await sign_in()
    assert hospital.desk is not None
    patient = await hospital.bed_starts(hospital.desk.url, user_id="bed-302-1")
    emergency = await hospital.bed_starts(
        hospital.desk.url,
        user_id="bathroom-302",
        bed=settings.Bed(group="ward-3", room="302", priority="emergency"),
    )
    await asyncio.gather(patient.shows("ready"), emergency.shows("ready"))
    hospital.bed.press()
    await seat.answers()
    patient.press()
    await patient.shows("queued")
    emergency.press()
    await emergency.shows("queued")
    await seat.by("hang-up").click()
    await emergency.shows("ringing")
    await seat.answers()
    await emergency.shows("talking")
    assert patient.shown()[-1] == "queued"


async def test_a_ward_over_https_with_the_certificate_made_at_first_start(
    hospital: Hospital, sign_in: SignIn
) -> None:
    signaling = settings.Signaling(user_id="bed-301-2", ca_file="desk-data/certificate.pem")
    await hospital.opens(ward_settings(desk={"tls": "on"}, signaling=signaling))
    assert hospital.desk is not None
    assert hospital.desk.url.startswith("https://")
    seat = await sign_in(ignore_https_errors=True)
    hospital.bed.press()
    await seat.answers()
    await hospital.bed.shows("talking")
    await seat.sees_the_bed()


async def test_cancel_at_the_bed_stops_the_ringing(hospital: Hospital, sign_in: SignIn) -> None:
    await hospital.opens()
    seat = await sign_in()
    hospital.bed.press()
    await seat.rings()
    hospital.bed.press("cancel tap")
    await hospital.bed.shows("ringing")
    hospital.bed.press("cancel hold 1.2")
    await seat.is_silent()
    await hospital.bed.shows("ready")
    await seat.is_("free")
    await seat.nobody_waits()


@pytest.mark.promise("R07")
async def test_pressing_again_merges_and_raises_urgency(hospital: Hospital, sign_in: SignIn) -> None:
    await hospital.opens()
    seat = await sign_in()
    for _ in range(3):
        hospital.bed.press()
    await seat.rings()
    await expect(seat.by("request-row")).to_have_count(1)
    await expect(seat.by("request-row")).to_contain_text("urgent", timeout=HANG_S * 1000)


async def test_a_desk_that_is_not_there_yet_loses_nothing(hospital: Hospital, sign_in: SignIn) -> None:
    hospital.ward.prepare()
    desk = await hospital.ward.start_desk()
    await desk.stop()
    bed = await hospital.bed_starts(desk.url)
    await bed.shows("no_link")
    bed.press()
    await bed.shows("use_other_bell")
    port = int(desk.url.rstrip("/").rpartition(":")[2])
    hospital.ward = type(hospital.ward)(
        hospital.ward.folder,
        msgspec.structs.replace(
            hospital.ward.settings, desk=msgspec.structs.replace(hospital.ward.settings.desk, port=port)
        ),
    )
    hospital.ward.prepare()
    hospital.desk = await hospital.ward.start_desk()
    seat = await sign_in(expect_state="ringing")
    await seat.answers()
    await bed.shows("talking")


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ({"video": settings.Video(camera="/dev/video99")}, "camera: not found, or it cannot be used"),
        (
            {"audio": settings.Audio(microphone="no-such-device", speaker="none")},
            "microphone: not found, or it cannot be used · speaker: switched off",
        ),
    ],
)
async def test_a_missing_device_is_told_and_the_call_goes_on(
    hospital: Hospital, sign_in: SignIn, section: dict[str, Any], words: str
) -> None:
    await hospital.opens(ward_settings(**section))
    seat = await sign_in()
    hospital.bed.press()
    await seat.answers()
    await until(lambda: "talking" in hospital.bed.shown())
    row = seat.by("request-row")
    await expect(row).to_contain_text(words, timeout=HANG_S * 1000)


async def test_a_second_login_puts_the_first_page_out(hospital: Hospital, sign_in: SignIn) -> None:
    await hospital.opens()
    first = await sign_in("nurse-1")
    second = await sign_in("nurse-1")
    await expect(first.page.get_by_role("heading", name="Signed in elsewhere")).to_be_visible()
    hospital.bed.press()
    await second.rings()
    await first.by("kicked-out").click()
    await first.is_("not_ready")
    await expect(second.page.get_by_role("heading", name="Signed in elsewhere")).to_be_visible()


async def test_screens_fit_a_phone_in_both_languages(hospital: Hospital, sign_in: SignIn, tmp_path: Path) -> None:
    await hospital.opens()
    seat = await sign_in(viewport={"width": 390, "height": 844}, locale="zh-CN")
    await expect(seat.page.get_by_role("heading", name="等待中的呼叫")).to_be_visible()
    for language in ("zh-CN", "en"):
        assert await seat.page.evaluate("document.documentElement.lang") == language
        assert await seat.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        await seat.by("language").click()
