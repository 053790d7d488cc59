"""The bed's devices as the system sees them: nothing is held when idle, and what comes back is used again."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import pytest
from playwright.async_api import expect

from tests.e2e.conftest import Hospital, SignIn
from tests.waiting import HANG_S, until

pytestmark = [pytest.mark.browser, pytest.mark.alsa]

IN_A_CALL = ["sink-inputs", "source-outputs"]


def handles(pid: int) -> Counter[str]:
    """What process *pid* has open, sockets and pipes by their number."""
    found: Counter[str] = Counter()
    for handle in Path(f"/proc/{pid}/fd").iterdir():
        try:
            found[str(handle.readlink()).partition(":")[0]] += 1
        except FileNotFoundError:
            continue  # closed while we looked
    return found


async def streams_are(hospital: Hospital, wanted: list[str]) -> None:
    pid = hospital.bed.process.process.pid
    async with asyncio.timeout(HANG_S):
        while await asyncio.to_thread(hospital.pulse.streams_of, pid) != wanted:
            continue


async def test_no_device_is_held_before_the_press_nor_after_the_call(hospital: Hospital, sign_in: SignIn) -> None:
    await hospital.opens()
    pid = hospital.bed.process.process.pid
    seat = await sign_in()
    assert await asyncio.to_thread(hospital.pulse.streams_of, pid) == []
    idle = handles(pid)
    assert not any(name.startswith(("/dev/snd", "/dev/video", "/dev/media")) for name in idle)

    hospital.bed.press()
    await seat.answers()
    await streams_are(hospital, IN_A_CALL)
    talking = handles(pid)
    assert talking["socket"] > idle["socket"], "sound server and media path"

    await seat.by("hang-up").click()
    await hospital.bed.shows("answered")
    await streams_are(hospital, [])
    hospital.bed.press("attend tap")
    await hospital.bed.shows("ready")
    journal = str(hospital.ward.folder / hospital.ward.settings.state.folder / "journal")
    idle[journal] = 1  # kept open from the first press on: a record of requests, never of sound or pictures
    await until(lambda: handles(pid) == idle, f"as before: {idle}")


async def test_the_lamp_is_lit_before_any_device_is_opened(hospital: Hospital, sign_in: SignIn) -> None:
    await hospital.opens()
    seat = await sign_in()
    hospital.bed.press()
    await seat.rings()
    await until(lambda: sum(event.startswith("opened ") for event in events(hospital)) == 3, "three devices open")
    told = events(hospital)
    told = told[told.index("edge") :]
    first = min(told.index(f"opened {device}") for device in ("camera", "microphone", "speaker"))
    assert told.index("lamp") < told.index("shows heard") < first


def events(hospital: Hospital) -> list[str]:
    return [moment.event for moment in hospital.bed.process.moments()]


async def test_a_sound_card_that_is_unplugged_in_a_call_is_told_and_used_again_when_it_is_back(
    hospital: Hospital, sign_in: SignIn
) -> None:
    await hospital.opens()
    seat = await sign_in()
    hospital.bed.press()
    await seat.answers()
    await asyncio.gather(seat.hears_the_bed(), hospital.bed_hears_the_seat())
    hospital.pulse.kill()
    await seat.says("far-end", "microphone")
    await seat.says("far-end", "speaker")
    await seat.sees_the_bed()
    with hospital.pulse:
        await hospital.somebody_hums()
        await expect(seat.by("far-end")).to_be_empty(timeout=HANG_S * 1000)
        await asyncio.gather(seat.hears_the_bed(), hospital.bed_hears_the_seat())
        assert hospital.bed.shown()[-1] == "talking"
        await seat.by("hang-up").click()
        await streams_are(hospital, [])
