"""The media path of a talk is lost, for real: it heals, is rebuilt with the same seat, or the request moves on."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest
from playwright.async_api import Browser, expect

from kiosk.bench.chromium import READ_CODE, chromium
from tests.e2e.conftest import Hospital, Seat, SignIn

pytestmark = [pytest.mark.browser, pytest.mark.alsa, pytest.mark.promise("R10")]

STANDS_STILL = f"""async () => {{
  const read = {READ_CODE};
  let code = read(), since = performance.now();
  while (performance.now() - since < 1000) {{
    await new Promise((done) => setTimeout(done, 50));
    const now = read();
    if (now !== code) [code, since] = [now, performance.now()];
  }}
}}"""


async def talk(hospital: Hospital, sign_in: SignIn) -> Seat:
    """A patient and a nurse see and hear each other."""
    await hospital.opens()
    seat: Seat = await sign_in()
    hospital.bed.press()
    await seat.answers()
    await hospital.bed.shows("talking")
    return seat


async def both_hear_and_see(hospital: Hospital, seat: Seat) -> None:
    await asyncio.gather(seat.sees_the_bed(), seat.hears_the_bed(), hospital.bed_hears_the_seat())


async def test_a_short_stall_heals_by_itself(hospital: Hospital, sign_in: SignIn) -> None:
    seat = await talk(hospital, sign_in)
    await both_hear_and_see(hospital, seat)
    hospital.bed.press("media stall 2")
    await seat.page.evaluate(STANDS_STILL)
    await both_hear_and_see(hospital, seat)
    assert "onConnectionLost" not in hospital.bed.told()
    assert hospital.bed.shown()[-1] == "talking"


async def test_a_path_too_weak_for_pictures_carries_sound_and_later_pictures_again(
    hospital: Hospital, sign_in: SignIn
) -> None:
    seat = await talk(hospital, sign_in)
    await both_hear_and_see(hospital, seat)
    hospital.bed.press("media lose 0.6")
    await seat.says("stage-words", "No picture from the bed")
    await asyncio.gather(seat.hears_the_bed(), hospital.bed_hears_the_seat())
    await hospital.bed.shows("talking")
    hospital.bed.press("media pass")
    await expect(seat.by("stage-words")).to_be_hidden(timeout=60_000)
    await both_hear_and_see(hospital, seat)


@pytest.mark.parametrize("stall", ["stall", "stall-in", "stall-out"])
async def test_a_longer_stall_is_rebuilt_with_the_same_seat(
    hospital: Hospital, sign_in: SignIn, stall: str
) -> None:
    seat = await talk(hospital, sign_in)
    await both_hear_and_see(hospital, seat)
    hospital.bed.press(f"media {stall} 4")
    await hospital.bed.shows("interrupted")
    await seat.says("call-state", "interrupted")
    await hospital.bed.shows("talking")
    await seat.says("call-state", "In a call")
    await both_hear_and_see(hospital, seat)
    assert hospital.bed.told()[-2:] == ["onConnectionLost", "onConnectionRecovery"]
    assert hospital.bed.told().count("onUserInviting") == 1, "nobody had to press or to answer again"
    await seat.by("hang-up").click()
    await hospital.bed.shows("answered")


async def test_a_path_lost_for_good_ends_the_call_and_the_second_seat_rings(
    hospital: Hospital, sign_in: SignIn
) -> None:
    seat = await talk(hospital, sign_in)
    second = await sign_in("nurse-2")
    hospital.bed.press("media stall")
    await hospital.bed.shows("interrupted")
    await second.rings()
    await seat.says("status", "The connection failed")
    assert "talking" not in hospital.bed.shown()[hospital.bed.shown().index("interrupted") :]
    hospital.bed.press("media pass")
    await second.answers()
    await hospital.bed.shows("talking")
    await second.sees_the_bed()


async def test_a_muted_seat_is_missed_as_soon_as_one_that_speaks(hospital: Hospital, sign_in: SignIn) -> None:
    seat = await talk(hospital, sign_in)
    await seat.page.keyboard.press("m")
    await seat.says("own-end", "You are muted")
    hospital.bed.press("media stall-in 4")
    await hospital.bed.shows("interrupted")
    await hospital.bed.shows("talking")
    await seat.says("own-end", "You are muted")
    await seat.page.keyboard.press("m")
    await both_hear_and_see(hospital, seat)


@pytest.mark.parametrize("browser", [{"permission": False}], indirect=True)
async def test_a_seat_without_a_microphone_is_missed_too(hospital: Hospital, sign_in: SignIn) -> None:
    seat = await talk(hospital, sign_in)
    await seat.says("own-end", "No microphone")
    hospital.bed.press("media stall-in 4")
    await hospital.bed.shows("interrupted")
    await hospital.bed.shows("talking")
    await seat.sees_the_bed()


async def test_a_tab_closed_in_a_call_lets_the_next_seat_ring(hospital: Hospital, sign_in: SignIn) -> None:
    seat = await talk(hospital, sign_in)
    second = await sign_in("nurse-2")
    await seat.page.close()
    await second.answers()
    await hospital.bed.shows("talking")


async def test_a_browser_killed_in_a_call_lets_the_next_seat_ring(
    hospital: Hospital, sign_in: SignIn, browser: Browser, tmp_path: Path
) -> None:
    await hospital.opens()
    second = await sign_in("nurse-2", expect_state="free")
    await second.by("not-ready").click()
    folder = tmp_path / "doomed"
    folder.mkdir()
    async with chromium(folder) as doomed:
        page = await (await doomed.new_context(locale="en-GB")).new_page()
        assert hospital.desk is not None
        await page.goto(await asyncio.to_thread(hospital.ward.seat_link, hospital.desk.url, "nurse-1"))
        seat = Seat(page)
        await seat.is_("free")
        hospital.bed.press()
        await seat.answers()
        await hospital.bed.shows("talking")
        await second.by("ready").click()
        await second.is_("free")
        processes = (await (await doomed.new_browser_cdp_session()).send("SystemInfo.getProcessInfo"))[
            "processInfo"
        ]
        (pid,) = (process["id"] for process in processes if process["type"] == "browser")
        os.kill(pid, signal.SIGKILL)
        await second.answers()
    await hospital.bed.shows("talking")
