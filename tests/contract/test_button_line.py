"""The call button's line, from the pin to the desk: nothing that happens to it goes unnoticed."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import pytest
from gpiozero.pins.mock import MockPin

from kiosk.bedside import debounce
from kiosk.desk.ledger import Request
from kiosk.hardware.simulated_finger import SimulatedFinger
from tests.bedsides import RunningBedside, bed_settings, bedside_running
from tests.desks import BED, RunningDesk
from tests.waiting import until

pytestmark = pytest.mark.promise("R14")


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody wants to wait for 30 s."""
    monkeypatch.setattr(debounce, "STUCK_S", 0.3)
    monkeypatch.setattr(debounce, "REREAD_S", 0.05)


@contextlib.asynccontextmanager
async def bed_at(desk: RunningDesk, **buttons: object) -> AsyncIterator[RunningBedside]:
    settings = bed_settings(desk.ws_url, **buttons)
    async with bedside_running(settings, user_sig=lambda: desk.ticket(BED)) as bed:
        await bed.shows("ready")
        yield bed


def request_at(desk: RunningDesk) -> Request | None:
    return next(iter(desk.server.relay.allocation.ledger.requests.values()), None)


async def pressed(desk: RunningDesk, times: int) -> None:
    def so_often() -> bool:
        request = request_at(desk)
        return request is not None and request.told.presses == times

    await until(so_often, f"the desk knows of {times} presses")


async def fault_is(desk: RunningDesk, fault: str) -> None:
    beds = desk.server.relay.allocation.ledger.beds
    await until(lambda: BED in beds and beds[BED].devices.button == fault, f"{fault!r} is told")


async def test_a_stuck_button_asks_once_and_is_told_and_shown_until_it_comes_up(desk: RunningDesk) -> None:
    async with bed_at(desk) as bed:
        bed.call.press()
        await fault_is(desk, "stuck")
        await pressed(desk, 1)
        bed.attend.press()
        await bed.shows("button_stuck")
        await until(lambda: request_at(desk) is None, "the request is closed")
        bed.call.release()
        await bed.shows("ready")
        await fault_is(desk, "")
        bed.call.press()
        await pressed(desk, 1)


@pytest.mark.parametrize("how", ["press", "unplug"])
async def test_on_a_closed_line_a_press_and_a_pulled_cord_both_call_for_help(desk: RunningDesk, how: str) -> None:
    async with bed_at(desk, call_wiring="normally_closed") as bed:
        assert request_at(desk) is None, "a cord that is plugged in asks for nothing"
        finger = SimulatedFinger(bed.pins, bed.settings.buttons.call_pin, bounces=0, normally_closed=True)
        getattr(finger, how)()
        await pressed(desk, 1)
        await fault_is(desk, "stuck or unplugged")
        finger.plug_in()
        await fault_is(desk, "")
        await pressed(desk, 1)


async def test_a_cord_that_is_out_when_the_bed_starts_calls_for_help(desk: RunningDesk) -> None:
    def unplug(bed: RunningBedside) -> None:
        SimulatedFinger(bed.pins, bed.settings.buttons.call_pin).unplug()

    settings = bed_settings(desk.ws_url, call_wiring="normally_closed")
    async with bedside_running(settings, user_sig=lambda: desk.ticket(BED), prepare=unplug):
        await pressed(desk, 1)
        await fault_is(desk, "stuck or unplugged")


async def test_a_pulled_cord_on_an_open_line_asks_for_nothing(desk: RunningDesk) -> None:
    async with bed_at(desk) as bed:
        bed.call.unplug()
        bed.call.press()
        await pressed(desk, 1)


def lose_edges(bed: RunningBedside) -> None:
    """What the kernel does when its queue of events is full."""
    pin: MockPin = bed.pins.pin(bed.settings.buttons.call_pin)
    pin.when_changed = None


async def test_a_press_whose_edge_was_lost_is_found(desk: RunningDesk) -> None:
    async with bed_at(desk) as bed:
        lose_edges(bed)
        bed.call.press()
        await pressed(desk, 1)


async def test_a_release_whose_edge_was_lost_is_found_and_the_next_press_counts(desk: RunningDesk) -> None:
    async with bed_at(desk) as bed:
        bed.call.press()
        await fault_is(desk, "stuck")
        lose_edges(bed)
        bed.call.release()
        await fault_is(desk, "")
        bed.call.press()
        await pressed(desk, 2)
