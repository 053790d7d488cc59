"""A bed whose parts fail: each comes back by itself, and the process ends only when that is of no use."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import gpiozero
import pytest

from kiosk.bedside import debounce
from kiosk.bedside.supervision import MAX_RESTARTS
from kiosk.bedside.supervisor import PartsFail
from kiosk.hardware.button import Button, Edge
from tests.bedsides import RunningBedside, bed_settings, bedside_running
from tests.desks import BED, RunningDesk
from tests.fault.proxy import proxied
from tests.waiting import HANG_S, until

pytestmark = [pytest.mark.usefixtures("soon"), pytest.mark.promise("R11")]


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(debounce, "REREAD_S", 0.02)


class FailingButton(Button):
    """A button that cannot be read so and so often, as when the kernel takes the pin away."""

    def __init__(self, button: Button) -> None:
        self.name = button.name
        self.failures = 0
        self._button = button

    def start(self, on_edge: Callable[[Edge], None]) -> None:
        self._button.start(on_edge)

    def level(self) -> bool:
        if self.failures:
            self.failures -= 1
            raise gpiozero.GPIOZeroError("the pin is gone")
        return self._button.level()

    def close(self) -> None:
        self._button.close()


def with_failing_button(bed: RunningBedside) -> None:
    object.__setattr__(bed.devices, "call_button", FailingButton(bed.devices.call_button))


def button_of(bed: RunningBedside) -> FailingButton:
    assert isinstance(bed.devices.call_button, FailingButton)
    return bed.devices.call_button


async def test_a_button_that_could_not_be_read_for_a_moment_works_again() -> None:
    async with bedside_running(bed_settings(), prepare=with_failing_button) as bed:
        await bed.shows("no_link")
        button_of(bed).failures = MAX_RESTARTS
        await until(lambda: button_of(bed).failures == 0)
        bed.call.press()
        await bed.shows("use_other_bell")


async def test_a_button_that_cannot_be_read_any_more_ends_the_bed() -> None:
    async with bedside_running(bed_settings(), prepare=with_failing_button) as bed:
        await bed.shows("no_link")
        button_of(bed).failures = MAX_RESTARTS + 1
        assert bed.running is not None
        with pytest.raises(PartsFail, match=r"button GPIO17 failed .*the pin is gone.* within 60 s"):
            await asyncio.wait_for(bed.running, HANG_S)


async def test_signaling_that_fails_is_shown_and_comes_back_with_the_same_request(desk: RunningDesk) -> None:
    faults: list[Exception] = []

    def user_sig() -> str:
        if faults:
            raise faults.pop()
        return desk.ticket(BED)

    async with (
        proxied(desk.port) as proxy,
        bedside_running(bed_settings(proxy.ws_url), user_sig=user_sig) as bed,
    ):
        await bed.shows("ready")
        bed.call.press()
        await bed.shows("queued")
        requests = list(desk.server.relay.allocation.ledger.requests)
        faults.append(ZeroDivisionError("a fault nobody thought of"))
        proxy.cut()
        await until(lambda: not faults)
        await bed.shows("queued")
        assert "use_other_bell" in bed.shown
        assert list(desk.server.relay.allocation.ledger.requests) == requests
