"""``kiosk run --latency-trace`` in a real talk: each stage of the call, and of its pictures and its sound."""

from __future__ import annotations

import asyncio
import re
import sys
import time
from pathlib import Path

from kiosk.bench.loopback_ward import ward_with_desk
from kiosk.demo.robot import Robot
from kiosk.media.interfaces import LOOPBACK, prepare_media
from kiosk.media.stages import Stage
from kiosk.signaling import messages as wire
from kiosk.signaling.messages import CallType
from tests.waiting import HANG_S, until

SEAT = "nurse-1"


async def test_every_stage_of_pictures_and_sound_is_told_when_the_call_ends(tmp_path: Path) -> None:
    prepare_media([LOOPBACK])
    async with ward_with_desk(tmp_path / "ward") as (ward, desk):
        code = ward.registry().make_code(SEAT, now=int(time.time()))
        trace = tmp_path / "trace.jsonl"
        bed = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "kiosk", "run", "--settings", str(ward.bed_file), "--hand", "--latency-trace"),
            *("--trace", str(trace)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        assert bed.stdin is not None
        try:
            async with asyncio.timeout(3 * HANG_S), Robot(desk.url, code) as robot:
                await until(lambda: trace.exists() and "shows ready" in trace.read_text(), "the bed is ready")
                bed.stdin.write(b"call tap\n")
                incoming, _ = await robot.rings()
                await robot.accept(incoming, CallType.VIDEO)
                assert robot.peer is not None
                await asyncio.gather(robot.peer.enough_sound.wait(), robot.peer.coded.wait())
                await robot.send(wire.Hangup(call_id=incoming.call_id))
                await robot.drop_call()
                bed.terminate()
                output, _ = await bed.communicate()
        finally:
            if bed.returncode is None:
                bed.kill()
                await bed.wait()
    assert bed.returncode == 0
    rows = {row[0]: row[1:] for row in (re.split(r"  +", line) for line in output.decode().splitlines())}
    assert {stage.value for stage in Stage} <= rows.keys()
    assert "gate open → first sound of the seat" in rows
    assert all(float(p50) <= float(p95) <= float(most) for _, p50, p95, most in list(rows.values())[1:])
