"""A ward on loopback for a benchmark: a real desk process, and a real bed process with simulated pins."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from kiosk import settings
from kiosk.demo.run import demo_settings
from kiosk.demo.ward import BedProcess, DeskProcess, Ward
from kiosk.media.interfaces import LOOPBACK


@asynccontextmanager
async def ward_with_desk(folder: Path) -> AsyncIterator[tuple[Ward, DeskProcess]]:
    """A desk that runs, and the settings of a bed for it, in *folder*."""
    made = demo_settings(port=0, auto=True)
    made = msgspec.structs.replace(made, media=settings.Media(interfaces=(LOOPBACK,)))
    ward = Ward(folder, made)
    ward.prepare()
    desk = await ward.start_desk()
    try:
        ward.bed_settings(desk.url)
        yield ward, desk
    finally:
        await desk.stop()


@asynccontextmanager
async def started_bed(ward: Ward) -> AsyncIterator[BedProcess]:
    """The bed of *ward*, starting."""
    bed = await ward.start_bed()
    try:
        yield bed
    finally:
        await bed.stop()
