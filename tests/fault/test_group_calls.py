"""A group talk of real processes, while its desk dies, its bed dies, or one who is in it vanishes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from kiosk import settings
from kiosk.demo.robot import Robot
from kiosk.signaling import messages as wire
from kiosk.signaling.messages import CallType, EndReason, Phase
from tests.fault.killed_ward import ROBOT, WATCHER, KilledWard
from tests.waiting import HANG_S, until

DOCTOR = "doctor-1"
SEATS = tuple(
    settings.Seat(user_id=user_id, name=user_id, groups=("ward-3",)) for user_id in (ROBOT, WATCHER, DOCTOR)
)


@dataclass
class Talk:
    """Nurse and doctor, both in one talk with the bed."""

    ward: KilledWard
    nurse: Robot
    doctor: Robot
    calls: dict[str, str]


@pytest.fixture
async def talk(tmp_path: Path) -> AsyncIterator[Talk]:
    async with KilledWard(tmp_path, seats=SEATS) as ward, contextlib.AsyncExitStack() as robots:
        nurse = await robots.enter_async_context(ward.robot())
        ward.hand()
        first, _ = await nurse.rings()
        await nurse.accept(first, CallType.VIDEO)
        await ward.shows("talking")
        doctor = await robots.enter_async_context(ward.robot(DOCTOR))
        await nurse.send(wire.AddSeat(call_id=first.call_id, user_id=DOCTOR))
        second, _ = await doctor.rings()
        await doctor.accept(second, CallType.VIDEO)
        await ward.shows("talking_with_several")
        yield Talk(ward, nurse, doctor, {ROBOT: first.call_id, DOCTOR: second.call_id})


async def hears_members(robot: Robot, *seats: str) -> wire.Members:
    """Wait until *robot* is told that just these seats talk."""
    while True:
        told: wire.Members = await robot.hears(wire.Members)
        if [(member.user_id, member.state) for member in told.members] == [(seat, "talking") for seat in seats]:
            return told


async def still_hears_the_bed(robot: Robot) -> None:
    """New sound comes, whoever else is gone."""
    assert robot.peer is not None
    robot.peer.heard_anything.clear()
    await asyncio.wait_for(robot.peer.heard_anything.wait(), HANG_S)


async def test_both_talks_go_on_without_the_desk_and_a_new_one_finds_them(talk: Talk) -> None:
    talk.ward.kill_desk()
    await talk.ward.desk_is_gone()
    for robot in (talk.nurse, talk.doctor):
        await still_hears_the_bed(robot)
    await talk.ward.desk_starts()
    await talk.ward.desk_has(state="talking", online=True)
    for robot, user_id in ((talk.nurse, ROBOT), (talk.doctor, DOCTOR)):
        await robot.come_back()
        told = await hears_members(robot, ROBOT, DOCTOR)
        assert told.call_id == talk.calls[user_id]
        await still_hears_the_bed(robot)
    assert talk.ward.shown()[-1] == "talking_with_several", "for the patient nothing has happened"
    await talk.nurse.send(wire.Hangup(call_id=talk.calls[ROBOT]))
    gone = await hears_members(talk.doctor, DOCTOR)
    assert gone.left == wire.LeftMember(user_id=ROBOT, reason=EndReason.HANGUP)
    await talk.ward.shows("talking")
    await talk.doctor.send(wire.Hangup(call_id=talk.calls[DOCTOR]))
    await talk.ward.shows("answered")
    await talk.ward.desk_has(state="answered")


async def test_a_bed_killed_in_a_group_talk_asks_again(talk: Talk) -> None:
    request_id = await talk.ward.request_on_disk(presses=1)
    talk.ward.kill_bed()
    await talk.ward.bed_is_gone()
    await talk.ward.bed_starts()
    for robot in (talk.nurse, talk.doctor):
        assert (await robot.hears(wire.CallEnded)).reason is EndReason.BED_LOST
        await robot.drop_call()
    again = asyncio.create_task(talk.nurse.rings()), asyncio.create_task(talk.doctor.rings())
    done, waiting = await asyncio.wait(again, return_when=asyncio.FIRST_COMPLETED, timeout=HANG_S)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    (incoming, _) = done.pop().result()
    assert (incoming.request.request_id, incoming.members) == (request_id, ()), "it is a call like the first"


async def test_a_doctor_whose_computer_dies_is_gone_and_nothing_else_changes(talk: Talk) -> None:
    await talk.doctor.lose_the_desk()
    await talk.doctor.drop_call()
    gone = await hears_members(talk.nurse, ROBOT)
    assert gone.left is not None
    assert gone.left.user_id == DOCTOR
    await talk.ward.shows("talking")
    await still_hears_the_bed(talk.nurse)
    await talk.ward.desk_has(state="talking", seat=ROBOT)


async def test_a_hang_up_at_the_bed_ends_the_talk_for_all(talk: Talk) -> None:
    talk.ward.hand("cancel tap")
    for robot in (talk.nurse, talk.doctor):
        assert (await robot.hears(wire.CallEnded)).reason is EndReason.HANGUP
    await talk.ward.shows("answered")
    await until(lambda: _phase(talk) is Phase.ANSWERED, "the answer is on the disk")


def _phase(talk: Talk) -> Phase | None:
    request = talk.ward.on_disk().request
    return None if request is None else request.phase
