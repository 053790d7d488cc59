"""The seat page as its people meet it: by keyboard, in two languages, with what may be missing or break."""

from __future__ import annotations

import asyncio
import re
import time
from contextlib import AsyncExitStack
from typing import Any

import pytest
from playwright.async_api import Page, expect

from kiosk import settings
from kiosk.signaling import messages as wire
from tests.e2e.conftest import Hospital, Seat, SignIn, ward_settings
from tests.e2e.wire_bed import WireBed
from tests.waiting import HANG_S

pytestmark = [pytest.mark.browser, pytest.mark.alsa]

HANG_MS = HANG_S * 1000
INSIDE = ("accept", "reject", "BODY")
PASSPHRASE = "correct horse battery"
SHORT_LIFE_S = 10
"""Of a UserSig: enough to sign in with it."""


async def opens_the_page(hospital: Hospital, browser: Any, **context: Any) -> Page:
    """The sign-in form, as a nurse finds it in the morning; her passphrase is set."""
    assert hospital.desk is not None
    await asyncio.to_thread(hospital.ward.registry().set_passphrase, "nurse-1", PASSPHRASE)
    opened = await browser.new_context(**({"locale": "en-GB"} | context))
    page: Page = await opened.new_page()
    await page.goto(hospital.desk.url)
    return page


async def test_a_whole_shift_by_keyboard_alone(hospital: Hospital, browser: Any) -> None:
    await hospital.opens()
    seat = Seat(await opens_the_page(hospital, browser))
    keys = seat.page.keyboard
    await expect(seat.by("user-id")).to_be_focused()
    await keys.type("nurse-1")
    await keys.press("Tab")
    await keys.type(PASSPHRASE)
    await keys.press("Enter")
    await seat.is_("not_ready")
    await expect(seat.by("no-calls")).to_be_visible()
    await expect(seat.by("ready")).to_be_focused()
    await keys.press("Enter")
    await seat.is_("free")
    hospital.bed.press()
    await seat.rings()
    await keys.press("Enter")
    await seat.talks()
    await keys.press("m")
    await expect(seat.by("mute")).to_have_attribute("aria-pressed", "true")
    await seat.says("own-end", "You are muted")
    await keys.press("m")
    await expect(seat.by("own-end")).to_be_empty()
    await expect(seat.by("own-video")).to_be_visible()
    await keys.press("v")
    await expect(seat.by("own-video")).to_be_hidden()
    await keys.press("h")
    await seat.request_is("answered")
    await expect(seat.page.get_by_role("heading", name="Who waits")).to_be_focused()


async def test_the_ringing_dialog_keeps_the_focus_and_gives_it_back(hospital: Hospital, sign_in: SignIn) -> None:
    await hospital.opens()
    seat = await sign_in()
    await seat.by("language").focus()
    hospital.bed.press()
    await seat.rings()
    await expect(seat.by("accept")).to_be_focused()
    for _ in range(4):
        await seat.page.keyboard.press("Tab")
        # The body stands for the browser's own bars, which a dialog does not lock.
        assert await seat.page.evaluate("document.activeElement.id || document.activeElement.tagName") in INSIDE
    await seat.page.keyboard.press("Escape")
    await seat.is_silent()
    await expect(seat.by("language")).to_be_focused()


async def test_a_board_drawn_anew_leaves_the_focus_on_its_button(hospital: Hospital, sign_in: SignIn) -> None:
    await hospital.opens()
    seat = await sign_in()
    assert hospital.desk is not None
    ward, url = hospital.ward, hospital.desk.url
    await seat.by("rest").click()
    async with WireBed(ward, url, room="302", phase="answered", spoken=True):
        close = seat.page.get_by_role("button", name="Close request: Ward 3 · 302 · 1")
        await close.focus()
        async with WireBed(ward, url, room="303"):
            await expect(seat.by("request-row")).to_have_count(2)
            await expect(close).to_be_focused()


# -- signing in


async def test_a_wrong_passphrase_is_said_and_the_user_id_stays(hospital: Hospital, browser: Any) -> None:
    await hospital.opens()
    seat = Seat(await opens_the_page(hospital, browser, locale="zh-CN"))
    await seat.by("user-id").fill("nurse-1")
    await seat.by("passphrase").fill("wrong horse battery")
    await seat.by("sign-in").click()
    await seat.says("status", "用户 ID 或口令错误")
    await expect(seat.by("user-id")).to_have_value("nurse-1")
    await expect(seat.by("passphrase")).to_be_focused()
    await seat.by("passphrase").fill(PASSPHRASE)
    await seat.page.keyboard.press("Enter")
    await seat.is_("not_ready")


async def test_a_used_up_link_leads_to_the_form_with_words(hospital: Hospital, browser: Any) -> None:
    await hospital.opens()
    assert hospital.desk is not None
    page = await (await browser.new_context(locale="en-GB")).new_page()
    await page.goto(hospital.desk.url + "#code=never-made")
    await Seat(page).says("status", "sign-in link is used up")
    await expect(page.get_by_test_id("sign-in-form")).to_be_visible()


async def test_a_kiosk_cannot_sit_at_a_seat(hospital: Hospital, browser: Any) -> None:
    await hospital.opens()
    seat = Seat(await opens_the_page(hospital, browser))
    ticket = await asyncio.to_thread(hospital.ward.registry().issue, "bed-999-9", now=1, ttl_s=2**31)
    await seat.by("user-id").fill("bed-999-9")
    await seat.page.get_by_text("I have a UserSig").click()
    await seat.by("sdk-app-id").fill(str(hospital.ward.settings.desk.sdk_app_id))
    await seat.by("user-sig").fill(ticket)
    await seat.by("sign-in").click()
    await seat.says("status", "not a seat of this desk")
    await expect(seat.by("sign-in-form")).to_be_visible()


async def test_a_user_sig_that_runs_out_leads_back_to_the_form_with_words(hospital: Hospital, browser: Any) -> None:
    await hospital.opens()
    seat = Seat(await opens_the_page(hospital, browser))
    registry = hospital.ward.registry()
    await seat.by("user-id").fill("nurse-1")
    await seat.page.get_by_text("I have a UserSig").click()
    await seat.by("sdk-app-id").fill(str(hospital.ward.settings.desk.sdk_app_id))
    await seat.by("user-sig").fill(registry.issue("nurse-1", now=int(time.time()), ttl_s=SHORT_LIFE_S))
    await seat.by("sign-in").click()
    await seat.is_("not_ready")
    await seat.says("status", "Your sign-in has expired. Please sign in again.")
    await expect(seat.by("sign-in-form")).to_be_visible()


async def test_signing_out_in_a_call_hangs_up(hospital: Hospital, sign_in: SignIn) -> None:
    await hospital.opens()
    seat = await sign_in()
    hospital.bed.press()
    await seat.answers()
    await hospital.bed.shows("talking")
    await seat.page.get_by_role("button", name="Sign out").click()
    await expect(seat.by("sign-in-form")).to_be_visible()
    await hospital.bed.shows("answered")


# -- what the browser withholds


@pytest.mark.parametrize("browser", [{"sounding": False}], indirect=True)
async def test_a_ring_that_cannot_sound_is_said_until_the_first_key(hospital: Hospital, sign_in: SignIn) -> None:
    await hospital.opens()
    seat = await sign_in()
    await seat.says("sound-off", "The ring sound is off")
    await seat.page.keyboard.press("Shift")
    await seat.page.keyboard.press("x")
    await expect(seat.by("sound-off")).to_be_hidden()


@pytest.mark.parametrize("browser", [{"sounding": False}], indirect=True)
async def test_the_button_turns_the_ring_sound_on(hospital: Hospital, sign_in: SignIn) -> None:
    await hospital.opens()
    seat = await sign_in()
    await seat.by("sound-on").click()
    await expect(seat.by("sound-off")).to_be_hidden()


@pytest.mark.parametrize("browser", [{"permission": False}], indirect=True)
async def test_a_forbidden_microphone_is_said_and_the_bed_is_still_heard(
    hospital: Hospital, sign_in: SignIn
) -> None:
    await hospital.opens()
    seat = await sign_in()
    await seat.says("devices", "No microphone: not allowed")
    hospital.bed.press()
    await seat.answers()
    await seat.says("own-end", "The patient will not hear you")
    await seat.hears_the_bed()
    assert "onUserAudioAvailable" not in hospital.bed.told()


# -- the board and the ring


async def test_the_board_shows_the_most_urgent_first_and_in_words(hospital: Hospital, sign_in: SignIn) -> None:
    await hospital.opens()
    seat = await sign_in()
    await seat.by("rest").click()
    await seat.is_("rest")
    assert hospital.desk is not None
    broken = wire.Devices(camera="no camera found", speaker="it hums", kinds={"camera": wire.FaultKind.MISSING})
    async with AsyncExitStack() as stack:
        beds: dict[str, dict[str, Any]] = {
            "302": {"age": 63_000},
            "303": {"age": 20_000, "priority": 2, "presses": 4, "devices": broken},
            "304": {"age": 3_663_000, "priority": 1},
            "305": {"age": 300_000, "phase": "answered"},
        }
        for room, request in beds.items():
            await stack.enter_async_context(WireBed(hospital.ward, hospital.desk.url, room=room, **request))
        rows = seat.by("request-row")
        await expect(rows).to_have_count(4)
        await expect(rows.nth(0)).to_contain_text(
            re.compile(
                r"emergency Ward 3 · 303 · 1 waiting 00:2\d .*pressed 4 ×"
                r" · camera: not found, or it cannot be used · speaker: it hums"
            )
        )
        await expect(rows.nth(1)).to_contain_text(re.compile(r"urgent Ward 3 · 304 · 1 waiting 1:01:\d\d"))
        await expect(rows.nth(2)).to_contain_text(re.compile(r"normal Ward 3 · 302 · 1 waiting 01:\d\d"))
        await expect(rows.nth(3)).to_contain_text("spoken with, to be attended")
        await seat.says("waiting", "Waiting now: 3")
    await expect(rows.nth(0)).to_contain_text("bed not connected: go there")


async def test_the_title_calls_while_it_rings_and_is_itself_again(hospital: Hospital, sign_in: SignIn) -> None:
    await hospital.opens()
    seat = await sign_in()
    await expect(seat.page).to_have_title("Bedside calls: seat")
    hospital.bed.press()
    await expect(seat.page).to_have_title("☎ Call from Ward 3 · 301 · 2", timeout=HANG_MS)
    await expect(seat.page).to_have_title("Bedside calls: seat")
    await expect(seat.page).to_have_title("☎ Call from Ward 3 · 301 · 2")
    await seat.by("accept").click()
    await seat.talks()
    await expect(seat.page).to_have_title("Bedside calls: seat")


async def test_the_language_changes_in_the_middle_of_a_call(hospital: Hospital, sign_in: SignIn) -> None:
    await hospital.opens()
    seat = await sign_in()
    hospital.bed.press()
    await seat.answers()
    await seat.by("language").click()
    await seat.says("call-state", "通话中")
    await expect(seat.by("hang-up")).to_have_text("挂断（H）")
    await seat.hears_the_bed()
    assert hospital.bed.shown()[-1] == "talking"


# -- what breaks


@pytest.mark.parametrize(
    ("camera", "words", "chinese"),
    [
        ("none", "Its camera: switched off", "摄像头：已关闭"),
        ("/dev/video99", "Its camera: not found, or it cannot be used", "摄像头：未找到或无法使用"),
    ],
)
async def test_a_bed_without_a_camera_shows_words_instead_of_a_black_picture(
    hospital: Hospital, sign_in: SignIn, camera: str, words: str, chinese: str
) -> None:
    await hospital.opens(ward_settings(video=settings.Video(camera=camera)))
    seat = await sign_in()
    hospital.bed.press()
    await seat.answers()
    await seat.says("stage-words", words)
    await seat.by("language").click()
    await seat.says("stage-words", chinese)
    shown = await seat.by("stage-words").inner_text()
    assert not re.search("[A-Za-z]", shown), f"English words on the Chinese page: {shown}"
    await expect(seat.by("remote-video")).to_be_hidden()
    await seat.hears_the_bed()
