"""Beds and desk together, through random histories: no request is ever left without an owner."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from kiosk.bedside import bed_events, call_events
from kiosk.bedside.call_events import State as CallState
from kiosk.bedside.request_events import Link, State
from kiosk.bedside.request_state import view
from kiosk.signaling import messages as wire
from kiosk.signaling.messages import CallType, CloseReason, Origin
from tests.unit.ward_model import ModelWard
from tests.unit.ward_parts import ModelBed, ModelPage

pytestmark = pytest.mark.promise("R01", "R09")

BEDS, SEATS = 3, 3
PATIENCE = 200
"""Turns in which one attentive nurse must have spoken with everybody."""


class WardHistory(RuleBasedStateMachine):
    """Patients press, nurses answer or do not, and everything breaks at any moment."""

    ward: ModelWard
    wished: set[str]
    """Beds whose patient has asked and was neither attended nor has cancelled."""
    silent: bool
    """In the end nobody comes; else one attentive nurse."""

    @initialize(
        queue=st.booleans(),
        slow_disks=st.booleans(),
        backup=st.booleans(),
        silent=st.booleans(),
        begins=st.sampled_from(
            ["dark", "ready", "ringing", "talking", "called", "answering", "seat talks", "asked in", "group"]
        ),
    )
    def opens(self, queue: bool, slow_disks: bool, backup: bool, silent: bool, begins: str) -> None:
        self.wished = set()
        self.silent = silent
        self.ward = ModelWard(beds=BEDS, seats=SEATS, queue=queue, backup=backup, heard=self.bed_heard)
        for bed in self.ward.beds.values():
            bed.slow = slow_disks
        if begins == "dark":
            return
        self.ward.settle()
        for page in self.ward.pages.values():
            page.wire.says(wire.SetSeatState(state="free"))
            self.ward.calm()
        if begins in ("called", "answering", "seat talks"):
            self.page(0).calls(self.bed(0).user, CallType.VIDEO)
            self.ward.calm()
            assert self.bed(0).bed.request.state is State.CALLED
        if begins == "answering":
            self.patient_presses(index=0)
        if begins == "seat talks":
            self.patient_presses(index=0)
            self.ward.calm()
            self.wished.clear()
            assert self.bed(0).bed.request.state is State.TALKING
        if begins in ("ringing", "talking", "asked in", "group"):
            self.patient_presses(index=0)
            self.ward.calm()
        if begins in ("talking", "asked in", "group"):
            self.page(0).accepts()
            self.ward.calm()
            assert self.bed(0).bed.request.state is State.TALKING
        if begins in ("asked in", "group"):
            self.page(0).asks_in(self.page(1).user)
            self.ward.calm()
            assert len(self.bed(0).bed.calls) == 2
        if begins == "group":
            self.page(1).accepts()
            self.ward.calm()
            assert len(self.bed(0).bed.request.talks) == 2

    def bed(self, index: int) -> ModelBed:
        return list(self.ward.beds.values())[index]

    def page(self, index: int) -> ModelPage:
        return list(self.ward.pages.values())[index]

    # -- people

    @rule(index=st.integers(0, BEDS - 1))
    def patient_presses(self, index: int) -> None:
        self.presses(index, Origin.CALL_BUTTON)

    @rule(index=st.integers(0, BEDS - 1), origin=st.sampled_from([Origin.BATHROOM, Origin.STAFF]))
    def somebody_pulls_the_cord_or_needs_help(self, index: int, origin: Origin) -> None:
        self.presses(index, origin)

    def presses(self, index: int, origin: Origin) -> None:
        self.ward.now += 1
        bed = self.bed(index)
        bed.presses(self.ward.now, origin)
        if bed.open:  # else a trembling hand has pressed twice to answer
            self.wished.add(bed.user)

    @rule(index=st.integers(0, BEDS - 1), attended=st.booleans(), press_first=st.booleans())
    def somebody_ends_it_at_the_bed(self, index: int, attended: bool, press_first: bool) -> None:
        bed = self.bed(index)
        if attended:
            bed.does(bed_events.AttendPressed(), self.ward.now)
        else:
            if press_first:
                bed.does(bed_events.CancelPressed(), self.ward.now)
            bed.does(bed_events.CancelHeld(), self.ward.now)
        if not bed.open:
            self.wished.discard(bed.user)

    @rule(index=st.integers(0, SEATS - 1), state=st.sampled_from(["free", "free", "not_ready", "rest"]))
    def nurse_chooses(self, index: int, state: str) -> None:
        self.page(index).wire.says(wire.SetSeatState(state=state))  # type: ignore[arg-type]  # one of the three

    @rule(index=st.integers(0, SEATS - 1))
    def nurse_accepts(self, index: int) -> None:
        page = self.page(index)
        if page.call_id and not page.accepted and not page.calls_out:
            page.accepts()

    @rule(index=st.integers(0, SEATS - 1), how=st.sampled_from(["declines", "fails", "twice"]))
    def nurse_leaves_the_call(self, index: int, how: str) -> None:
        page = self.page(index)
        if not page.call_id:
            return
        if how == "twice":
            if not page.calls_out:
                page.accepts()
        elif how == "fails":
            page.fails()
        else:
            page.declines()

    @rule(index=st.integers(0, SEATS - 1), bed=st.integers(0, BEDS - 1))
    def nurse_takes_a_request(self, index: int, bed: int) -> None:
        self.page(index).takes(self.bed(bed).bed.request.request_id or "r0")

    @rule(
        index=st.integers(0, SEATS - 1),
        bed=st.integers(0, BEDS - 1),
        call_type=st.sampled_from(CallType),
        quick=st.booleans(),
    )
    def nurse_calls_a_bed(self, index: int, bed: int, call_type: CallType, quick: bool) -> None:
        self.page(index).calls(self.bed(bed).user, call_type)
        if quick:
            self.ward.calm()

    @rule(index=st.integers(0, SEATS - 1), other=st.integers(0, SEATS - 1), quick=st.booleans())
    def nurse_asks_a_colleague_in(self, index: int, other: int, quick: bool) -> None:
        if self.page(index).call_id:
            self.page(index).asks_in(self.page(other).user)
        if quick:
            self.ward.calm()

    @rule(index=st.integers(0, BEDS - 1))
    def people_speak(self, index: int) -> None:
        bed = self.bed(index)
        for call_id in tuple(bed.bed.calls):
            bed.does(call_events.Spoken(call_id), self.ward.now)

    @rule(index=st.integers(0, SEATS - 1), bed=st.integers(0, BEDS - 1))
    def nurse_closes(self, index: int, bed: int) -> None:
        request_id = self.bed(bed).bed.request.request_id or "r0"
        closing = wire.CloseRequest(request_id=request_id, reason=CloseReason.CLOSED_BY_SEAT)
        self.page(index).wire.says(closing)

    # -- the world

    def bed_heard(self, bed: ModelBed, message: wire.Message) -> None:
        if isinstance(message, wire.RequestClosed) and not bed.open:
            self.wished.discard(bed.user)
        elif isinstance(message, wire.RequestHeld):
            self.wished.add(bed.user)

    @rule(data=st.data(), count=st.integers(1, 6))
    def messages_arrive(self, data: st.DataObject, count: int) -> None:
        self.ward.now += 1
        for _ in range(count):
            lines = self.ward.lines()
            if not lines:
                return
            self.ward.deliver(*data.draw(st.sampled_from(lines)))

    @rule()
    def the_ward_is_quick(self) -> None:
        self.ward.now += 1
        self.ward.calm()

    @rule(index=st.integers(0, BEDS - 1))
    def media_go_on(self, index: int) -> None:
        self.ward.media_advance(self.bed(index))

    @rule(index=st.integers(0, BEDS - 1), data=st.data())
    def media_break(self, index: int, data: st.DataObject) -> None:
        if calls := list(self.bed(index).bed.calls.values()):
            self.ward.media_break(self.bed(index), data.draw(st.sampled_from(calls)))

    @rule(index=st.integers(0, BEDS - 1), data=st.data())
    def the_path_to_the_seat_dies(self, index: int, data: st.DataObject) -> None:
        if calls := list(self.bed(index).bed.calls.values()):
            self.ward.now += 5
            self.ward.media_stall(self.bed(index), data.draw(st.sampled_from(calls)))

    @rule(index=st.integers(0, SEATS - 1), connection=st.integers(0, 2))
    def a_seat_gets_nothing_from_the_bed(self, index: int, connection: int) -> None:
        page = self.page(index)
        if page.call_id and page.accepted:
            page.wire.says(wire.MediaStalled(call_id=page.call_id, connection=connection))

    @rule(index=st.integers(0, BEDS - 1), data=st.data())
    def a_wait_at_the_bed_ends(self, index: int, data: st.DataObject) -> None:
        if timers := list(self.bed(index).timers.values()):
            self.ward.now += 30
            self.ward.bed_timer_ends(self.bed(index), data.draw(st.sampled_from(timers)))

    @precondition(lambda self: self.ward.timers)
    @rule(data=st.data())
    def a_wait_at_the_desk_ends(self, data: st.DataObject) -> None:
        timer = data.draw(st.sampled_from(sorted(self.ward.timers, key=str)))
        self.ward.now = max(self.ward.now, self.ward.timers[timer])
        self.ward.desk_timer_ends(timer)

    @rule(index=st.integers(0, BEDS - 1))
    def bed_connects_or_loses_its_link(self, index: int) -> None:
        bed = self.bed(index)
        if bed.wire.up:
            self.ward.bed_loses_wire(bed)
        else:
            self.ward.bed_connects(bed)

    @rule(index=st.integers(0, SEATS - 1))
    def page_connects_or_loses_its_link(self, index: int) -> None:
        page = self.page(index)
        if page.wire.up:
            self.ward.page_loses_wire(page)
        else:
            self.ward.page_connects(page)

    @rule(index=st.integers(0, SEATS - 1))
    def page_is_reloaded(self, index: int) -> None:
        page = self.page(index)
        self.ward.page_loses_wire(page)
        page.leaves()
        self.ward.page_connects(page)

    @rule(index=st.integers(0, BEDS - 1))
    def power_is_cut_at_a_bed(self, index: int) -> None:
        self.bed_loses_power(self.bed(index))

    @precondition(lambda self: not any(bed.forgot for bed in self.ward.beds.values()))
    @rule()
    def power_is_cut_everywhere(self) -> None:
        self.ward.now += 1
        self.ward.desk_starts()
        for bed in self.ward.beds.values():
            self.bed_loses_power(bed)

    def bed_loses_power(self, bed: ModelBed) -> None:
        if bed.open and not bed.safe:  # pressed in this very moment: it was not sent, and not shown as sent
            unsent = (State.UNSENT, State.ANSWERED, State.ANSWERING, State.TALKING)
            assert bed.bed.request.state in unsent
            self.wished.discard(bed.user)
        self.ward.power_cut(bed)

    @rule(index=st.integers(0, BEDS - 1))
    def power_and_disk_of_a_bed_are_lost_whose_request_the_desk_has(self, index: int) -> None:
        bed = self.bed(index)
        held = self.ward.desk.ledger.requests.get(bed.bed.request.request_id)
        if not bed.open or (held is not None and not held.by_seat):
            self.ward.power_cut_that_takes_the_disk(bed)

    @rule(index=st.integers(0, BEDS - 1))
    def a_slow_disk_writes(self, index: int) -> None:
        self.bed(index).disk_writes()

    @precondition(lambda self: not any(bed.forgot for bed in self.ward.beds.values()))
    @rule()
    def the_desk_is_replaced_by_an_empty_one(self) -> None:
        self.ward.now += 1
        self.ward.desk_starts()

    def wishing(self) -> list[ModelBed]:
        """Beds whose patient waits for somebody; whoever answered a seat and was connected does not."""
        beds = [self.ward.beds[user] for user in sorted(getattr(self, "wished", ()))]
        for bed in beds:
            if bed.satisfied:
                self.wished.discard(bed.user)
        return [bed for bed in beds if not bed.satisfied]

    # -- what is always true

    @invariant()
    def the_desks_books_agree(self) -> None:
        if hasattr(self, "ward"):
            self.ward.check_books()
            self.ward.check_timelines()

    @invariant()
    def no_request_is_without_an_owner(self) -> None:
        for bed in self.wishing():
            assert bed.open or bed.forgot, f"{bed.user} was forgotten"
            if bed.open:
                self.ward.check_owner(bed)

    @invariant()
    def nobody_is_told_that_a_nurse_speaks_before_the_accept(self) -> None:
        for bed in self.ward.beds.values() if hasattr(self, "ward") else ():
            calls = [call.state for call in bed.bed.calls.values()]
            if bed.bed.request.state is State.TALKING:
                assert {*calls} & {CallState.CONNECTING, CallState.CONNECTED, CallState.REBUILDING}
            if bed.bed.request.state in (State.CALLED, State.ANSWERING):
                assert calls
                assert CallState.CONNECTED not in calls
            else:
                assert CallState.INVITED not in calls, "it rings, and nothing is shown"
            if view(bed.bed.request).prompt == "talking":
                assert calls.count(CallState.CONNECTED) == 1

    @invariant()
    def the_other_bell_rings_for_who_cannot_be_heard_and_for_nobody_else(self) -> None:
        for bed in self.ward.beds.values() if hasattr(self, "ward") else ():
            told = bed.bed.request
            if told.alarm:
                assert bed.bed.relay_closed
            elif told.state is not State.UNSENT:
                assert not bed.bed.relay_closed
            elif told.link is not Link.UP:
                assert bed.bed.relay_closed

    # -- and in the end

    def teardown(self) -> None:
        if not hasattr(self, "ward"):
            return
        self.ward.settle()
        for bed in self.ward.beds.values():
            self.ward.check_agreement(bed)
        assert all(bed.open for bed in self.wishing())
        if self.silent:
            self._nobody_comes()
        else:
            self._one_attentive_nurse_comes()

    def _nobody_comes(self) -> None:
        ward = self.ward
        for page in ward.pages.values():
            if page.call_id:
                page.declines()
        for _ in range(PATIENCE):
            ward.settle()
            for bed in ward.beds.values():
                ward.check_agreement(bed)
            waiting = [
                bed for bed in ward.beds.values() if bed.bed.request.state not in (State.IDLE, State.ANSWERED)
            ]
            if all(bed.bed.request.alarm for bed in waiting):
                return
            first = min(ward.timers, key=lambda timer: ward.timers[timer])
            ward.now = max(ward.now, ward.timers[first])
            ward.desk_timer_ends(first)
        raise AssertionError(f"nobody comes, and these beds give no alarm: {[bed.user for bed in waiting]}")

    def _one_attentive_nurse_comes(self) -> None:
        ward, page = self.ward, self.page(0)
        for other in ward.pages.values():
            if other.call_id:
                other.declines()
        for _ in range(PATIENCE):
            ward.settle()
            for bed in ward.beds.values():
                if bed.bed.request.state is State.DEFERRED:
                    bed.presses(ward.now)
            if page.call_id and (page.accepted or page.calls_out):
                page.declines()
            elif page.call_id:
                page.accepts()
            else:
                page.wire.says(wire.SetSeatState(state="free"))
            ward.settle()
            if all(bed.bed.request.state in (State.IDLE, State.ANSWERED) for bed in ward.beds.values()):
                return
            if not page.call_id and ward.timers:
                first = min(ward.timers, key=lambda timer: ward.timers[timer])
                ward.now = max(ward.now, ward.timers[first])
                ward.desk_timer_ends(first)
        states = {bed.user: bed.bed.request.state for bed in ward.beds.values()}
        raise AssertionError(f"a nurse answers everything, and still: {states}")


TestWardHistory = WardHistory.TestCase
TestWardHistory.settings = settings(max_examples=400, stateful_step_count=50, deadline=None)
