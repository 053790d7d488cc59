"""A bed whose loudspeaker is heard by its microphone, in a whole call: the nurse hears the patient, not herself."""

from __future__ import annotations

import asyncio

import pytest

from kiosk import settings
from kiosk.hardware.microphone import SampleMicrophone
from tests.e2e.conftest import Hospital, Seat, SignIn, ward_settings
from tests.pulse import PulseRig
from tests.waiting import HANG_S

pytestmark = [pytest.mark.browser, pytest.mark.alsa]

AUDIBLE_DBFS = -40
QUIET_DBFS = -55


async def talks_in_a_small_room(hospital: Hospital, sign_in: SignIn, *, echo: settings.EchoChoice) -> Seat:
    """Only the nurse speaks; the bed's microphone hears her from the bed's loudspeaker."""
    assert hospital.hum is not None
    hospital.hum.kill()
    await hospital.hum.wait()
    audio = settings.Audio(microphone=PulseRig.microphone, speaker=PulseRig.speaker, echo=echo, night="none")
    await hospital.opens(ward_settings(audio=audio))
    hospital.pulse.let_microphone_hear_speaker()
    seat: Seat = await sign_in()
    hospital.bed.press()
    await seat.answers()
    await hospital.bed_hears_the_seat()
    return seat


async def level_is(seat: Seat, condition: str) -> None:
    await seat.page.wait_for_function(
        f"() => document.getElementById('far-level').value {condition}", timeout=HANG_S * 1000
    )


async def test_without_echo_control_the_nurse_hears_herself(hospital: Hospital, sign_in: SignIn) -> None:
    seat = await talks_in_a_small_room(hospital, sign_in, echo="none")
    await level_is(seat, f"> {AUDIBLE_DBFS}")
    await seat.by("hang-up").click()


async def test_with_it_she_hears_only_the_patient_also_while_she_speaks(
    hospital: Hospital, sign_in: SignIn
) -> None:
    pytest.importorskip("livekit.rtc.apm", reason="needs the extra echo")
    seat = await talks_in_a_small_room(hospital, sign_in, echo="auto")
    await level_is(seat, f"< {QUIET_DBFS}")
    speaking = asyncio.create_task(asyncio.to_thread(hospital.pulse.play_into_microphone, SampleMicrophone().sound))
    await level_is(seat, f"> {AUDIBLE_DBFS}")
    await speaking
    await level_is(seat, f"< {QUIET_DBFS}")
    await seat.by("hang-up").click()
