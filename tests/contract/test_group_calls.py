"""A group call over real sockets: who is asked, comes, is refused and goes, and a desk that starts anew in it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kiosk import settings
from kiosk.signaling import messages as wire
from kiosk.signaling.messages import CallType, EndReason, ErrorCode, OpenRequest, Phase, SeatState
from tests.desks import BED, SDP, Peer, RunningDesk, desk_running, help_wanted, invitation, ringing

SEATS = tuple(
    settings.Seat(user_id=user_id, name=user_id.title(), groups=(group,))
    for user_id, group in (
        ("nurse-1", "ward"),
        ("doctor-1", "doctors"),
        ("doctor-2", "doctors"),
        ("doctor-3", "doctors"),
        ("doctor-4", "doctors"),
    )
)


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[RunningDesk]:
    """A desk with a nurse of the bed's group and four doctors who are of another one."""
    async with desk_running(tmp_path, {"seats": SEATS}) as running:
        yield running


class Talk:
    """A bed's talk; ``calls`` has each seat's own call."""

    def __init__(self, desk: RunningDesk, bed: Peer) -> None:
        self._desk = desk
        self.bed = bed
        self.seats: dict[str, Peer] = {}
        self.calls: dict[str, wire.Allocated] = {}

    async def begins(self) -> None:
        nurse = await self._desk.seat("nurse-1")
        await self.bed.says(wire.Request(request=help_wanted()))
        allocated = await self.bed.hears(wire.Allocated)
        await self._invites(allocated, nurse)
        await self.accepts("nurse-1")

    async def asks(self, user_id: str, *, by: str = "nurse-1") -> wire.Ack | wire.Fault:
        asked = wire.AddSeat(call_id=self.calls[by].call_id, user_id=user_id)
        return await self.seats[by].asks(asked)

    async def is_rung(self, user_id: str) -> wire.IncomingCall:
        """A seat that has been asked is invited by the bed."""
        allocated = await self.bed.hears(wire.Allocated, seat=user_id)
        assert allocated.joins
        return await self._invites(allocated, self.seats[user_id])

    async def _invites(self, allocated: wire.Allocated, seat: Peer) -> wire.IncomingCall:
        self.seats[allocated.seat], self.calls[allocated.seat] = seat, allocated
        await self.bed.says(invitation(allocated))
        return await seat.hears(wire.IncomingCall, call_id=allocated.call_id)

    async def accepts(self, user_id: str) -> None:
        call_id = self.calls[user_id].call_id
        await self.seats[user_id].says(wire.Accept(call_id=call_id))
        await self.bed.hears(wire.Accepted, call_id=call_id)

    async def joins(self, user_id: str) -> None:
        self.seats[user_id] = await self._desk.seat(user_id)
        assert isinstance(await self.asks(user_id), wire.Ack)
        await self.is_rung(user_id)
        await self.accepts(user_id)

    def told(self) -> OpenRequest:
        """What the bed's snapshot says of it."""
        first, *others = (
            wire.Talk(call_id=call.call_id, seat=call.seat, fence=call.fence) for call in self.calls.values()
        )
        return help_wanted(
            phase=Phase.TALKING,
            call_id=first.call_id,
            call_seat=first.seat,
            fence=first.fence,
            others=tuple(others),
        )


@pytest.fixture
async def talk(desk: RunningDesk) -> Talk:
    """The nurse talks with the bed."""
    begun = Talk(desk, await desk.bed())
    await begun.begins()
    return begun


async def hears_members(peer: Peer, **members: str) -> wire.Members:
    """Wait until *peer* was told last that these seats are in: user ids with ``_`` for ``-``, and their states."""
    wanted = {name.replace("_", "-"): state for name, state in members.items()}
    while True:
        heard = peer.all_of(wire.Members)
        if heard and {member.user_id: member.state for member in heard[-1].members} == wanted:
            return heard[-1]
        await peer.hears(wire.Members)


async def test_a_doctor_is_found_asked_and_comes_and_the_nurse_goes(desk: RunningDesk, talk: Talk) -> None:
    nurse = talk.seats["nurse-1"]
    doctor = talk.seats["doctor-1"] = await desk.seat("doctor-1")
    await nurse.says(wire.FindSeats(text="doctor-1"))
    assert (await nurse.hears(wire.Seats)).seats == (
        wire.SeatView(user_id="doctor-1", name="Doctor-1", state=SeatState.FREE),
    )
    assert isinstance(await talk.asks("doctor-1"), wire.Ack)
    incoming = await talk.is_rung("doctor-1")
    assert [member.user_id for member in incoming.members] == ["nurse-1"]
    assert incoming.request.bed_user == BED
    await hears_members(nurse, nurse_1="talking", doctor_1="ringing")
    await talk.accepts("doctor-1")
    for user_id, peer in (("nurse-1", nurse), ("doctor-1", doctor)):
        told = await hears_members(peer, nurse_1="talking", doctor_1="talking")
        assert told.call_id == talk.calls[user_id].call_id
    await nurse.says(wire.Hangup(call_id=talk.calls["nurse-1"].call_id))
    gone = await hears_members(doctor, doctor_1="talking")
    assert gone.left == wire.LeftMember(user_id="nurse-1", reason=EndReason.HANGUP)
    assert (await talk.bed.hears(wire.CallEnded)).call_id == talk.calls["nurse-1"].call_id
    await nurse.sees(state="talking", seat="doctor-1")
    await doctor.says(wire.Hangup(call_id=talk.calls["doctor-1"].call_id))
    await nurse.sees(state="answered")


async def test_the_seats_reach_each_other_when_both_are_in_and_not_before(desk: RunningDesk, talk: Talk) -> None:
    nurse = talk.seats["nurse-1"]
    doctor = talk.seats["doctor-1"] = await desk.seat("doctor-1")
    await talk.asks("doctor-1")
    await talk.is_rung("doctor-1")
    own, other = talk.calls["doctor-1"].call_id, talk.calls["nurse-1"].call_id
    offer = wire.MemberOffer(call_id=own, user_id="nurse-1", sdp=SDP)
    early = await doctor.asks(offer)
    assert isinstance(early, wire.Fault)
    assert (early.code, early.field, early.call_id) == (ErrorCode.NOT_ALLOWED, "user_id", None)
    await talk.accepts("doctor-1")
    assert isinstance(await doctor.asks(offer), wire.Ack)
    assert await nurse.hears(wire.MemberOffer) == wire.MemberOffer(call_id=other, user_id="doctor-1", sdp=SDP)
    await nurse.says(wire.MemberAnswer(call_id=other, user_id="doctor-1", sdp=SDP))
    answer = await doctor.hears(wire.MemberAnswer)
    assert answer == wire.MemberAnswer(call_id=own, user_id="nurse-1", sdp=SDP)
    await doctor.says(wire.MemberCandidate(call_id=own, user_id="nurse-1", candidate=""))
    assert (await nurse.hears(wire.MemberCandidate)).user_id == "doctor-1"
    assert len(nurse.all_of(wire.MemberOffer)) == 1, "what came too early was not passed on"


async def test_a_fifth_seat_is_refused_in_words(desk: RunningDesk, talk: Talk) -> None:
    for doctor in ("doctor-1", "doctor-2", "doctor-3"):
        await talk.joins(doctor)
    await desk.seat("doctor-4")
    refused = await talk.asks("doctor-4")
    assert isinstance(refused, wire.Fault)
    assert (refused.code, refused.field) == (ErrorCode.TALK_FULL, "user_id")
    assert "4 seats" in refused.message
    await talk.seats["doctor-2"].says(wire.Hangup(call_id=talk.calls["doctor-2"].call_id))
    await talk.bed.hears(wire.CallEnded)
    assert isinstance(await talk.asks("doctor-4"), wire.Ack)


async def test_asking_twice_asks_once(desk: RunningDesk, talk: Talk) -> None:
    doctor = talk.seats["doctor-1"] = await desk.seat("doctor-1")
    assert isinstance(await talk.asks("doctor-1"), wire.Ack)
    again = await talk.asks("doctor-1")
    assert isinstance(again, wire.Fault)
    assert again.code is ErrorCode.SEAT_IN_TALK
    await talk.is_rung("doctor-1")
    await talk.accepts("doctor-1")
    await hears_members(doctor, nurse_1="talking", doctor_1="talking")
    assert len(talk.bed.all_of(wire.Allocated)) == 2


async def test_nobody_is_asked_into_a_talk_that_ends_in_this_very_moment(desk: RunningDesk, talk: Talk) -> None:
    nurse = talk.seats["nurse-1"]
    doctor = await desk.seat("doctor-1")
    call_id = talk.calls["nurse-1"].call_id
    await talk.bed.says(wire.Hangup(call_id=call_id))
    await nurse.hears(wire.CallEnded)
    late = await talk.asks("doctor-1")
    assert isinstance(late, wire.Fault)
    assert (late.code, late.field, late.call_id) == (ErrorCode.OUT_OF_ORDER, "call_id", None)
    await doctor.says(wire.FindSeats(text="doctor"))
    await doctor.hears(wire.Seats)
    assert not doctor.all_of(wire.IncomingCall)


async def test_who_is_rung_when_the_talk_ends_is_let_go_and_cannot_accept(desk: RunningDesk, talk: Talk) -> None:
    doctor = talk.seats["doctor-1"] = await desk.seat("doctor-1")
    await talk.asks("doctor-1")
    await talk.is_rung("doctor-1")
    await talk.bed.says(wire.Hangup(call_id=talk.calls["nurse-1"].call_id))
    ended = await doctor.hears(wire.CallEnded)
    assert ended.reason is EndReason.CANCELLED
    late = await doctor.asks(wire.Accept(call_id=ended.call_id))
    assert isinstance(late, wire.Fault)
    assert late.code is ErrorCode.STALE_CALL


async def test_a_member_whose_tab_is_closed_is_gone_and_the_talk_is_not(desk: RunningDesk, talk: Talk) -> None:
    await talk.joins("doctor-1")
    await talk.seats["doctor-1"].socket.close()
    gone = await hears_members(talk.seats["nurse-1"], nurse_1="talking")
    assert gone.left == wire.LeftMember(user_id="doctor-1", reason=EndReason.SEAT_LOST)
    ended = await talk.bed.hears(wire.CallEnded)
    assert (ended.call_id, ended.reason) == (talk.calls["doctor-1"].call_id, EndReason.SEAT_LOST)
    await talk.seats["nurse-1"].sees(state="talking", seat="nurse-1")


async def test_a_member_that_comes_back_in_time_is_told_who_is_in(desk: RunningDesk, talk: Talk) -> None:
    await talk.joins("doctor-1")
    call_id = talk.calls["doctor-1"].call_id
    await talk.seats["doctor-1"].socket.close()
    back = await desk.logs_in("doctor-1", call_id=call_id)
    told = await hears_members(back, nurse_1="talking", doctor_1="talking")
    assert (told.call_id, told.left) == (call_id, None)
    assert (await back.hears(wire.Board)).me.state is SeatState.BUSY


async def test_a_desk_that_starts_anew_finds_every_talk_and_can_ask_another_in(
    tmp_path: Path, desk: RunningDesk, talk: Talk
) -> None:
    await talk.joins("doctor-1")
    told, calls = talk.told(), {user_id: call.call_id for user_id, call in talk.calls.items()}
    async with desk_running(tmp_path / "anew", {"seats": SEATS}) as anew:
        nurse = await anew.logs_in("nurse-1", call_id=calls["nurse-1"])
        bed = await anew.bed(request=told)
        await hears_members(nurse, nurse_1="talking", doctor_1="talking")
        doctor = await anew.logs_in("doctor-1", call_id=calls["doctor-1"])
        assert (await hears_members(doctor, nurse_1="talking", doctor_1="talking")).call_id == calls["doctor-1"]
        again = Talk(anew, bed)
        again.seats, again.calls = {"nurse-1": nurse, "doctor-1": doctor}, dict(talk.calls)
        await again.joins("doctor-2")
        highest = max(call.fence for call in talk.calls.values())
        assert again.calls["doctor-2"].fence > highest
        for peer in (nurse, doctor):
            await hears_members(peer, nurse_1="talking", doctor_1="talking", doctor_2="talking")
        assert not bed.all_of(wire.CallEnded)


async def test_an_ordinary_seat_that_rings_is_not_a_member_of_anything(desk: RunningDesk) -> None:
    bed = await desk.bed()
    nurse = await desk.seat("nurse-1")
    incoming = await ringing(bed, nurse)
    assert incoming.members == ()
    refused = await nurse.asks(wire.AddSeat(call_id=incoming.call_id, user_id="doctor-1"))
    assert isinstance(refused, wire.Fault)
    assert refused.code is ErrorCode.OUT_OF_ORDER
    await asyncio.gather(
        nurse.says(wire.Accept(call_id=incoming.call_id, call_type=CallType.AUDIO)), bed.hears(wire.Accepted)
    )
    assert not nurse.all_of(wire.Members)
    assert incoming.request.bed_user == BED
