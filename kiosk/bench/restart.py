"""How long a request is away when the bed is killed: from kill -9 until the desk has it again."""

from __future__ import annotations

import asyncio
import time

from kiosk.demo.ward import BedProcess, Ward
from kiosk.errors import KioskError

WAIT_S = 30.0
LOOK_AGAIN_S = 0.01


async def one_restart(ward: Ward, bed: BedProcess) -> tuple[BedProcess, float]:
    """Kill *bed*, whose request is open, and start it anew as systemd does; returns it, and the seconds it took.

    Nearly all of it is the start of a Python program.
    """
    seen = len(bed.moments())
    killed_at = time.time()
    bed.process.kill()
    await bed.process.wait()
    again = await ward.start_bed()
    while True:
        taken = [moment.at for moment in again.moments()[seen:] if moment.event == "taken"]
        if taken:
            return again, taken[0] - killed_at
        if time.time() > killed_at + WAIT_S:
            await again.stop()
            raise KioskError(f"bench call: {WAIT_S:.0f} s after kill -9 the desk does not have the request")
        await asyncio.sleep(LOOK_AGAIN_S)
