"""kill -9 of the bed in whatever state: the same request is back at the desk, and the bed says what is true."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from kiosk.demo.robot import Robot
from kiosk.signaling import messages as wire
from kiosk.signaling.messages import CallType, EndReason, Phase
from tests.fault.killed_ward import KilledWard
from tests.waiting import until

pytestmark = pytest.mark.promise("R01", "R02")

Reaches = Callable[[KilledWard, Robot], Awaitable[None]]


async def is_sent(ward: KilledWard, robot: Robot) -> None:
    await ward.has_shown("sent")


async def rings(ward: KilledWard, robot: Robot) -> None:
    await robot.rings()
    await ward.shows("ringing")


async def talks(ward: KilledWard, robot: Robot) -> None:
    incoming, _ = await robot.rings()
    await robot.accept(incoming, CallType.VIDEO)
    await ward.shows("talking")


async def is_answered(ward: KilledWard, robot: Robot) -> None:
    incoming, _ = await robot.rings()
    await robot.accept(incoming, CallType.VIDEO)
    await ward.shows("talking")
    await robot.send(wire.Hangup(call_id=incoming.call_id))
    await ward.shows("answered")
    await until(lambda: answered_on_disk(ward), "the answer is on the disk")


def answered_on_disk(ward: KilledWard) -> bool:
    request = ward.on_disk().request
    return request is not None and request.phase is Phase.ANSWERED


async def bed_loses_power(ward: KilledWard, request_id: str) -> None:
    ward.kill_bed()
    await ward.bed_is_gone()
    await ward.desk_has(request_id=request_id, online=False)
    await ward.bed_starts()


@pytest.mark.parametrize("reaches", [is_sent, rings, talks])
async def test_a_bed_killed_on_its_way_to_a_nurse_rings_again_for_the_same_request(
    tmp_path: Path, reaches: Reaches
) -> None:
    async with KilledWard(tmp_path) as ward, ward.robot() as robot:
        ward.hand()
        await reaches(ward, robot)
        request_id = await ward.request_on_disk(presses=1)
        before = await ward.desk_has(request_id=request_id)
        await bed_loses_power(ward, request_id)
        await robot.drop_call()
        after = await ward.desk_has(request_id=request_id, online=True)
        assert after.age >= before.age
        await ward.shows("ringing")
        assert ward.shown()[0] == "use_other_bell", "nothing is claimed before the desk has said it"


async def test_after_a_crash_in_a_talk_the_nurse_answers_once_more(tmp_path: Path) -> None:
    async with KilledWard(tmp_path) as ward, ward.robot() as robot:
        ward.hand()
        await talks(ward, robot)
        request_id = await ward.request_on_disk(presses=1)
        await bed_loses_power(ward, request_id)
        await robot.drop_call()
        await robot.hears(wire.CallEnded)
        await talks(ward, robot)
        await ward.desk_has(request_id=request_id, state="talking")


async def test_a_bed_killed_after_a_talk_still_says_that_the_nurse_knows(tmp_path: Path) -> None:
    async with KilledWard(tmp_path) as ward, ward.robot() as robot:
        ward.hand()
        await is_answered(ward, robot)
        request_id = await ward.request_on_disk(presses=1)
        await bed_loses_power(ward, request_id)
        await ward.desk_has(request_id=request_id, online=True, state="answered")
        assert set(ward.shown()) == {"answered"}


async def seat_calls(ward: KilledWard, robot: Robot) -> None:
    await robot.send(wire.CallBed(bed_user=ward.bed_user))
    await ward.shows("seat_calls")


async def test_a_bed_killed_after_the_press_that_answers_a_seat_has_asked(tmp_path: Path) -> None:
    async with KilledWard(tmp_path) as ward, ward.robot() as robot:
        await seat_calls(ward, robot)
        ward.hand("media stall")  # nobody gets through: the press stays one that asks
        ward.hand()
        await ward.has_shown("answering")
        request_id = await ward.request_on_disk(presses=1)
        ward.kill_bed()
        await ward.bed_is_gone()
        await ward.bed_starts()
        await robot.drop_call()
        told = await ward.desk_has(request_id=request_id, online=True)
        assert told.presses == 1
        await ward.shows("ringing")


async def test_a_bed_killed_in_a_talk_that_a_seat_began_asks_for_nothing(tmp_path: Path) -> None:
    async with KilledWard(tmp_path) as ward, ward.robot() as robot:
        await seat_calls(ward, robot)
        ward.hand()
        incoming, _ = await robot.rings()
        await robot.accept(incoming, CallType.AUDIO)
        await ward.shows("talking")
        await until(lambda: ward.on_disk().request is None, "the press is satisfied, on the disk too")
        ward.kill_bed()
        await ward.bed_is_gone()
        await ward.bed_starts()
        assert (await robot.hears(wire.CallEnded)).reason is EndReason.BED_LOST
        await robot.drop_call()
        await ward.shows("ready")
        assert ward.on_disk().request is None


@pytest.mark.parametrize(("on_all_busy", "prompt"), [("queue", "queued"), ("retry_later", "deferred")])
async def test_a_bed_killed_while_all_nurses_are_busy_waits_again(
    tmp_path: Path, on_all_busy: str, prompt: str
) -> None:
    async with KilledWard(tmp_path, on_all_busy=on_all_busy) as ward:
        ward.hand()
        await ward.shows(prompt)
        ward.hand("call tap")
        request_id = await ward.request_on_disk(presses=2)
        await bed_loses_power(ward, request_id)
        again = await ward.desk_has(request_id=request_id, online=True)
        assert again.presses == 2
        await ward.shows(prompt)


async def test_a_press_made_while_the_desk_was_away_outlives_the_bed_too(tmp_path: Path) -> None:
    async with KilledWard(tmp_path) as ward:
        ward.kill_desk()
        await ward.desk_is_gone()
        await ward.shows("no_link")
        ward.hand()
        ward.hand()
        await ward.shows("use_other_bell")
        request_id = await ward.request_on_disk(presses=2)
        ward.kill_bed()
        await ward.bed_is_gone()
        await ward.desk_starts()
        await ward.bed_starts()
        replayed = await ward.desk_has(request_id=request_id)
        assert replayed.presses == 2
        await ward.shows("queued")


@pytest.mark.parametrize(
    ("reaches", "then", "prompt"),
    [(rings, "waiting", "queued"), (talks, "waiting", "queued"), (is_answered, "answered", "answered")],
)
async def test_power_cut_at_bed_and_desk_in_the_same_moment_loses_no_request(
    tmp_path: Path, reaches: Reaches, then: str, prompt: str
) -> None:
    async with KilledWard(tmp_path) as ward:
        async with ward.robot() as robot:
            ward.hand()
            await reaches(ward, robot)
            request_id = await ward.request_on_disk(presses=1)
            ward.kill_desk()
            ward.kill_bed()
            await ward.desk_is_gone()
            await ward.bed_is_gone()
        await ward.desk_starts()
        await ward.bed_starts()
        await ward.desk_has(request_id=request_id, state=then)
        await ward.shows(prompt)


async def test_a_request_that_was_attended_does_not_come_back(tmp_path: Path) -> None:
    async with KilledWard(tmp_path) as ward:
        ward.hand()
        await ward.shows("queued")
        await ward.request_on_disk(presses=1)
        ward.hand("attend tap")
        await until(lambda: ward.on_disk().request is None, "the attendance is on the disk")
        ward.kill_bed()
        await ward.bed_is_gone()
        await ward.bed_starts()
        await ward.shows("ready")
        assert set(ward.shown()) <= {"no_link", "ready"}


async def test_a_disk_that_fails_is_shown_at_the_seat_until_it_works_again(tmp_path: Path) -> None:
    async with KilledWard(tmp_path) as ward:
        ward.kill_bed()
        await ward.bed_is_gone()
        ward.take_the_disk_away()
        await ward.bed_starts()
        ward.hand()
        broken = "cannot be written: Not a directory"
        await ward.desk_has(devices=wire.Devices(journal=broken, kinds={"journal": wire.FaultKind.NOT_KEPT}))
        await ward.shows("queued")
        os.unlink(ward.state)
        mended = await ward.desk_has(devices=wire.Devices())
        assert await ward.request_on_disk(presses=1) == mended.request_id
