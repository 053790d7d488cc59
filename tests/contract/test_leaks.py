"""Calls leave nothing behind: counted exactly, in real processes and in the seat's own."""

from __future__ import annotations

from pathlib import Path

from kiosk.bench.counted_bed import Counts, count
from kiosk.bench.leaks import leak_ward
from tests.waiting import until

NOTHING = Counts(tasks={}, threads={}, files={}, rss_mb=0.0)


async def test_calls_leave_no_task_no_thread_and_no_file(tmp_path: Path) -> None:
    async with leak_ward(tmp_path / "ward") as ward:
        await ward.calls(3)
        here = count()
        growth = await ward.left_by(8)
        assert growth.left == {}
        await until(lambda: not count().more_than(here), f"the seat's end holds as much as before: {here}")


def test_more_is_told_by_name_and_less_is_not() -> None:
    before = Counts(tasks={"listen": 1}, threads={"camera": 2}, files={"socket": 3}, rss_mb=100.0)
    after = Counts(tasks={"listen": 2, "play": 1}, threads={"camera": 1}, files={"socket": 3}, rss_mb=200.0)
    assert after.more_than(before) == {"tasks listen": 1, "tasks play": 1}
    assert before.more_than(after) == {"threads camera": 1}
    assert NOTHING.more_than(before) == {}


async def test_this_process_is_counted() -> None:
    counts = count()
    assert counts.threads["MainThread"] == 1
    assert counts.rss_mb > 1
    assert counts.files
