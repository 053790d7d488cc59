"""One side stands still for longer than the other waits, as a laptop whose lid is closed; real processes."""

from __future__ import annotations

from pathlib import Path

from tests.fault.wards import asleep, processes_running
from tests.waiting import until


async def test_while_the_desk_sleeps_the_bed_says_so_and_the_request_is_the_same_afterwards(tmp_path: Path) -> None:
    async with processes_running(tmp_path) as ward:
        async with ward.seat() as seat:
            ward.bed.hand("call tap")
            before = await seat.sees(online=True)
        with asleep(ward.desk.process):
            await ward.shows("use_other_bell")
        await ward.shows("queued", times=2)
        async with ward.seat() as seat:
            after = await seat.sees(online=True)
        assert (after.request_id, after.presses) == (before.request_id, 1)


async def test_while_the_bed_sleeps_the_desk_shows_it_offline_and_the_request_stays(tmp_path: Path) -> None:
    async with processes_running(tmp_path) as ward, ward.seat() as seat:
        ward.bed.hand("call tap")
        before = await seat.sees(online=True)
        # The finger lives in the bed's process: asleep with it in mid-bounce, its contact is open for so long.
        ward.bed.hand("lifted")
        log = tmp_path / "bed.log"
        await until(lambda: "no button 'lifted'" in log.read_text(), "the tap is over")
        with asleep(ward.bed.process):
            away = await seat.sees(online=False)
        after = await seat.sees(online=True)
        assert away.request_id == after.request_id == before.request_id
        assert after.presses == 1
        await ward.shows("queued", times=2)
