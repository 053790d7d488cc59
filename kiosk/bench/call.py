"""``kiosk bench call``: how quick a call is, from the edge on the pin to the picture painted at the seat.

A real desk process, a real bed process with simulated pins, and real Chromium as the seat, all on loopback, beside
the baseline of :mod:`kiosk.bench.plain_call`; then the same over a path that is 25 ms long each way.
"""

from __future__ import annotations

import asyncio
import logging
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from playwright.async_api import Browser

from kiosk import settings
from kiosk.bench import process
from kiosk.bench.accepts import Accepts, Scene
from kiosk.bench.chromium import chromium
from kiosk.bench.figures import HEADLINE, Budget, Figure
from kiosk.bench.loopback_ward import ward_with_desk
from kiosk.bench.plain_call import plain_calls
from kiosk.bench.restart import one_restart
from kiosk.bench.traced_calls import (
    TALK_S,
    Moments,
    one_call,
    one_cancel,
    press,
    ready,
    signed_in,
    spans,
)
from kiosk.demo.ward import Ward
from kiosk.errors import BudgetMissed
from kiosk.media.simulated_loss import SimulatedLoss

CALLS, QUICK_CALLS = 25, 6
LATE_CALLS, QUICK_LATE_CALLS = 20, 3
FAR_CALLS, QUICK_FAR_CALLS = 10, 3
CANCELS, QUICK_CANCELS = 20, 4
RESTARTS, QUICK_RESTARTS = 5, 2
BASELINE_CALLS, QUICK_BASELINE_CALLS = 20, 3
WARM_UP_CALLS = 1
"""A browser's first call is slower; the seat page is warmed by its sign-in, but codecs are not."""
SETTLE_S = 1.0
IDLE_S = 5.0

LAMP = Budget(50, 20)
ON_DISK = Budget(50, 20)
RING = Budget(150, 60)
CANCEL = Budget(1000, 100)
RESTART = Budget(5000, 2000)
MAX_RSS_MB = 150
MAX_IDLE_CPU = 0.02


@dataclass(frozen=True)
class Measured:
    """Everything of one run. CPU in parts of a core."""

    near: Accepts
    far: Accepts
    cancels: Sequence[Moments]
    restarts: Sequence[float]
    idle_cpu: float
    idle_rss_mb: float
    busy_cpu: float
    busy_rss_mb: float


async def run(*, quick: bool) -> int:
    """Measure, print, and raise :exc:`BudgetMissed` if a budget is missed."""
    logging.getLogger("kiosk").setLevel(logging.WARNING)
    with tempfile.TemporaryDirectory(prefix="kiosk-bench-") as folder:
        async with ward_with_desk(Path(folder) / "ward") as (ward, desk), chromium(Path(folder)) as browser:
            measured = await _measure(ward, browser, desk.url, quick=quick)
            return _report(measured, ward.settings.video)


async def _measure(ward: Ward, browser: Browser, desk_url: str, *, quick: bool) -> Measured:
    loss = SimulatedLoss()
    loss.install()
    any_page, video = f"{desk_url}healthz", ward.settings.video
    bed = await ward.start_bed()
    pid = bed.process.pid
    try:
        page = await signed_in(ward, desk_url, browser)
        await ready(bed)
        await asyncio.sleep(SETTLE_S)
        before = process.cpu_s(pid)
        await asyncio.sleep(IDLE_S)
        idle_cpu, idle_rss_mb = (process.cpu_s(pid) - before) / IDLE_S, process.rss_mb(pid)
        for _ in range(WARM_UP_CALLS):
            await one_call(bed, page)
        before = process.cpu_s(pid)
        calls = [await one_call(bed, page) for _ in range(QUICK_CALLS if quick else CALLS)]
        busy_cpu = (process.cpu_s(pid) - before) / sum(call[-1][1] - call[0][1] for call in calls)
        busy_rss_mb = process.rss_mb(pid)
        late = [await one_call(bed, page, late=True) for _ in range(QUICK_LATE_CALLS if quick else LATE_CALLS)]
        far_calls = QUICK_FAR_CALLS if quick else FAR_CALLS
        far = await Scene(bed, page, browser, any_page, video, loss).far(far_calls)
        cancels = [await one_cancel(bed, page) for _ in range(QUICK_CANCELS if quick else CANCELS)]
        restarts = []
        await press(bed, page)
        for _ in range(QUICK_RESTARTS if quick else RESTARTS):
            bed, seconds = await one_restart(ward, bed)
            restarts.append(seconds * 1000)
    finally:
        await bed.stop()
    many = QUICK_BASELINE_CALLS if quick else BASELINE_CALLS
    plain = await plain_calls(browser, any_page, calls=many, talk_s=TALK_S, video=video)
    near = Accepts(0.0, calls, late, plain)
    return Measured(near, far, cancels, restarts, idle_cpu, idle_rss_mb, busy_cpu, busy_rss_mb)


def _report(measured: Measured, video: settings.Video) -> int:
    figures = _figures(measured)
    print(HEADLINE)
    for figure in figures:
        print(figure.row())
    near, far = measured.near, measured.far
    plain_cpu = sum(call.cpu for call in near.plain) / len(near.plain)
    print(
        f"bed at rest:  {measured.idle_rss_mb:.0f} MB RSS, {measured.idle_cpu:.1%} of a core"
        f" (must: {MAX_RSS_MB} MB, {MAX_IDLE_CPU:.0%})"
    )
    print(
        f"bed in calls: {measured.busy_rss_mb:.0f} MB RSS, {measured.busy_cpu:.0%} of a core;"
        f" baseline {plain_cpu:.0%} ({video.width}x{video.height} at {video.fps}, VP8 by software)"
    )
    print("\n".join([*near.rows(), *far.rows()]))
    missed = [figure.name for figure in figures if figure.missed] + far.too_little_gained()
    if measured.idle_rss_mb > MAX_RSS_MB:
        missed.append("memory at rest")
    if measured.idle_cpu > MAX_IDLE_CPU:
        missed.append("CPU at rest")
    if missed:
        raise BudgetMissed(f"bench call: {len(near.calls)} calls, missed: {', '.join(missed)}")
    print(f"bench call: {len(near.calls)} calls, every budget kept")
    return 0


def _figures(measured: Measured) -> list[Figure]:
    def of_calls(begin: str, end: str) -> list[float]:
        return spans(measured.near.calls, begin, end)

    return [
        Figure("edge → lamp", of_calls("edge", "lamp"), LAMP),
        Figure("edge → press on disk", of_calls("edge", "request_on_disk"), ON_DISK),
        Figure("press → the desk has it", of_calls("edge", "taken")),
        Figure("press → the seat rings", of_calls("edge", "seat ringing"), RING),
        Figure("ringing → media connected, gate closed", of_calls("seat ringing", "seat pc_connected")),
        *measured.near.figures(),
        *measured.far.figures(),
        Figure("cancel → the ring stops", spans(measured.cancels, "cancel", "seat call_ended"), CANCEL),
        Figure("kill -9 → the desk has the request again", measured.restarts, RESTART),
    ]
