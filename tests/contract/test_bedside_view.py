"""The demo's bedside view shows the seat's picture while somebody speaks with the patient, and at no other time."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import av
import httpx
import pytest

from kiosk.bedside.devices import choose_devices
from kiosk.bedside.request_events import LampSign, View
from kiosk.demo.bedside_view import BedsideView
from kiosk.hardware.pins import simulated_pins
from tests.bedsides import bed_settings
from tests.waiting import HANG_S


@pytest.fixture
async def view() -> AsyncIterator[tuple[BedsideView, httpx.AsyncClient]]:
    """A bedside view that is served, and a browser's way to it."""
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    pins = simulated_pins()
    with contextlib.closing(pins):
        shown = BedsideView(choose_devices(bed_settings(), factory=pins), port=0, fingers={})
        serving = asyncio.create_task(shown.run(ready.set_result))
        url = await asyncio.wait_for(ready, HANG_S)
        async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=HANG_S) as http:
            yield shown, http
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)


@pytest.mark.parametrize(
    ("says", "status"),
    [
        (View(LampSign.TALKING, "talking"), 200),
        (View(LampSign.TALKING, "talking_with_several", seats=2), 200),
        (View(LampSign.WAITING, "answered"), 404),
    ],
)
async def test_a_picture_is_shown_in_a_talk_however_many_speak(
    view: tuple[BedsideView, httpx.AsyncClient], says: View, status: int
) -> None:
    shown, http = view
    shown.show(says, "")
    shown.picture(av.VideoFrame(width=64, height=48, format="yuv420p"))
    assert (await http.get("picture")).status_code == status
