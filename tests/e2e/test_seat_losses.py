"""The seat page when something is lost and comes back: desk, bed, camera, microphone, the page itself."""

from __future__ import annotations

import signal

import pytest
from playwright.async_api import expect

from kiosk import settings
from kiosk.settings import Settings
from kiosk.signaling import messages as wire
from tests.e2e.conftest import Hospital, Seat, SignIn, ward_settings
from tests.e2e.wire_bed import WireBed
from tests.fault.wards import asleep
from tests.waiting import HANG_S, until

pytestmark = [pytest.mark.browser, pytest.mark.alsa]

HANG_MS = HANG_S * 1000


@pytest.fixture
def ward() -> Settings:
    """The settings of desk and bed; a parameter of a test takes their place."""
    return ward_settings()


@pytest.fixture
async def seat(hospital: Hospital, sign_in: SignIn, ward: Settings) -> Seat:
    """A seat that is ready; the bed is at rest."""
    await hospital.opens(ward)
    signed_in: Seat = await sign_in()
    return signed_in


@pytest.fixture
async def in_a_call(hospital: Hospital, seat: Seat) -> Seat:
    """A seat that has answered the bed's press."""
    hospital.bed.press()
    await seat.answers()
    return seat


@pytest.mark.promise("R01")
@pytest.mark.parametrize("ward", [ward_settings(desk={"next_round": 1.0})])
async def test_a_page_reloaded_in_a_call_is_ready_again_and_the_request_rings_again(
    hospital: Hospital, in_a_call: Seat
) -> None:
    await hospital.bed.shows("talking")
    await in_a_call.page.reload()
    await in_a_call.answers()
    await hospital.bed.shows("talking")


async def test_a_desk_killed_and_restarted_does_not_end_the_call(hospital: Hospital, in_a_call: Seat) -> None:
    await until(lambda: "onUserAudioAvailable" in hospital.bed.told())
    await hospital.desk_dies()
    await in_a_call.says("status", "Your call goes on")
    await in_a_call.page.keyboard.press("m")
    await in_a_call.says("own-end", "You are muted")
    await in_a_call.hears_the_bed()
    hospital.desk = await hospital.ward.start_desk()
    await in_a_call.says("status", "Connected.")
    await in_a_call.is_("busy")
    await in_a_call.request_is("talking")
    await in_a_call.hears_the_bed()
    assert hospital.bed.shown()[-1] == "talking"
    # The far end hears of the mute as soon as the desk can say it.
    await until(lambda: hospital.bed.told().count("onUserAudioAvailable") == 2, "the bed hears of the mute")
    await in_a_call.by("hang-up").click()
    await hospital.bed.shows("answered")
    await in_a_call.is_("free")


async def test_what_is_said_before_the_bed_is_back_at_a_new_desk_does_not_end_the_call(
    hospital: Hospital, in_a_call: Seat
) -> None:
    await until(lambda: "onUserAudioAvailable" in hospital.bed.told())
    await hospital.desk_dies()
    # The bed stands still for the moment in which the seat is back at the desk and the bed is not.
    hospital.bed.process.process.send_signal(signal.SIGSTOP)
    hospital.desk = await hospital.ward.start_desk()
    await in_a_call.is_("not_ready")
    await in_a_call.page.keyboard.press("m")
    await in_a_call.says("own-end", "You are muted")
    hospital.bed.process.process.send_signal(signal.SIGCONT)
    await in_a_call.is_("busy")
    await until(lambda: hospital.bed.told().count("onUserAudioAvailable") == 2, "the bed hears of the mute")
    await in_a_call.hears_the_bed()


async def test_a_ready_seat_is_ready_again_after_the_desk_was_away(hospital: Hospital, seat: Seat) -> None:
    await hospital.desk_dies()
    await seat.is_("offline")
    await expect(seat.by("ready")).to_be_disabled()
    hospital.desk = await hospital.ward.start_desk()
    await seat.is_("free")
    await hospital.bed.shows("ready")
    hospital.bed.press()
    await seat.rings()


async def test_a_desk_that_stands_still_is_noticed_by_page_and_bed_though_nobody_hangs_up(
    hospital: Hospital, seat: Seat
) -> None:
    assert hospital.desk is not None
    with asleep(hospital.desk.process):
        await seat.is_("offline")
        await hospital.bed.shows("no_link")
    await seat.is_("free")
    await hospital.bed.shows("ready")


async def test_a_desk_lost_while_it_rings_silences_the_page(hospital: Hospital, seat: Seat) -> None:
    hospital.bed.press()
    await seat.rings()
    await hospital.desk_dies()
    await seat.is_silent()
    await seat.says("status", "No calls ring here")
    hospital.desk = await hospital.ward.start_desk()
    await seat.answers()


async def test_an_accept_whose_desk_dies_at_once_ends_in_words(hospital: Hospital, seat: Seat) -> None:
    assert hospital.desk is not None
    async with WireBed(hospital.ward, hospital.desk.url, room="302") as bed:
        await bed.invites()
        await seat.rings()
        await seat.by("accept").click()
        await bed.hears(wire.Accepted)
        await hospital.desk_restarts()
        await expect(seat.by("call-view")).to_be_hidden(timeout=HANG_MS)
        await seat.is_("free")


async def test_a_call_that_never_connects_ends_and_the_desk_is_told(hospital: Hospital, seat: Seat) -> None:
    assert hospital.desk is not None
    async with WireBed(hospital.ward, hospital.desk.url, room="302") as bed:
        allocated = await bed.invites()
        await seat.rings()
        await seat.by("accept").click()
        await seat.says("call-state", "Connecting")
        ended = await bed.hears(wire.CallEnded)
        assert (ended.call_id, ended.reason) == (allocated.call_id, wire.EndReason.FAILED)
        await seat.says("status", "The connection failed")
        await expect(seat.by("call-view")).to_be_hidden()


async def test_a_bed_that_loses_its_power_in_a_call_is_said_and_the_call_ends(
    hospital: Hospital, in_a_call: Seat
) -> None:
    hospital.bed.process.process.kill()
    await in_a_call.says("call-state", "The connection to the bed is interrupted")
    await in_a_call.says("status", "The connection failed")
    await in_a_call.is_("free")


async def test_a_camera_that_is_unplugged_is_told_to_both_ends_and_comes_back(
    hospital: Hospital, in_a_call: Seat
) -> None:
    await expect(in_a_call.by("own-video")).to_be_visible()
    await until(lambda: "onUserVideoAvailable" in hospital.bed.told())
    await in_a_call.page.evaluate(
        "document.getElementById('own-video').srcObject.getTracks()[0].dispatchEvent(new Event('ended'))"
    )
    await in_a_call.says("own-end", "No camera: it was unplugged")
    await until(lambda: hospital.bed.told().count("onUserVideoAvailable") == 2)
    await in_a_call.by("camera").click()
    await expect(in_a_call.by("own-video")).to_be_visible()
    await expect(in_a_call.by("own-end")).to_be_empty()
    await until(lambda: hospital.bed.told().count("onUserVideoAvailable") == 3)


UNPLUG = """() => {
  const media = navigator.mediaDevices;
  window.plugged = media.getUserMedia;
  window.pulled = new Promise((done) => {
    media.getUserMedia = async (wanted) => {
      const stream = await window.plugged.call(media, wanted);
      if (wanted.audio) done(stream.getTracks()[0]);
      return stream;
    };
  });
}"""
PULL = """async () => {
  navigator.mediaDevices.getUserMedia = async () => { throw new DOMException('gone', 'NotFoundError'); };
  (await window.pulled).dispatchEvent(new Event('ended'));
}"""
PLUG = """() => {
  navigator.mediaDevices.getUserMedia = window.plugged;
  navigator.mediaDevices.dispatchEvent(new Event('devicechange'));
}"""


@pytest.mark.parametrize("ward", [ward_settings(call=settings.Call(type="audio"))])
async def test_a_microphone_that_is_unplugged_is_told_and_the_next_headset_is_used(
    hospital: Hospital, seat: Seat
) -> None:
    await seat.page.evaluate(UNPLUG)
    hospital.bed.press()
    await seat.answers()
    await until(lambda: hospital.bed.told().count("onUserAudioAvailable") == 1)
    await seat.page.evaluate(PULL)
    await seat.says("own-end", "No microphone: none found")
    await until(lambda: hospital.bed.told().count("onUserAudioAvailable") == 2)
    await seat.page.evaluate(PLUG)
    await expect(seat.by("own-end")).to_be_empty()
    await until(lambda: hospital.bed.told().count("onUserAudioAvailable") == 3)
