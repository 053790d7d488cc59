"""The journal on a real disk that is full, gone, damaged or hangs: the request goes out all the same, and never
before it is kept.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import resource
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import msgspec
import pytest

from kiosk.bedside import keeper
from kiosk.bedside.journal import Kept, KeptRequest, scan
from kiosk.bedside.journal_file import DAMAGED_NAME, FILE_NAME, MAX_BYTES, JournalFile
from kiosk.bedside.keeper import Keeper
from tests.waiting import HANG_S, until

pytestmark = pytest.mark.promise("R02")

RAISED = KeptRequest(request_id="r1", age=0)
PRESS = Kept(request=RAISED)
SOON_S = 0.02


def pressed(times: int) -> Kept:
    return Kept(request=msgspec.structs.replace(RAISED, presses=times))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "kept" / "state"


@pytest.fixture
def file(folder: Path) -> Iterator[JournalFile]:
    made = JournalFile(folder)
    made.read()
    yield made
    made.close()


@pytest.fixture
def in_the_way(folder: Path) -> Path:
    """A file where the folder should be."""
    folder.parent.mkdir()
    folder.write_text("a file")
    return folder


def survives(folder: Path) -> Kept:
    kept, _ = JournalFile(folder).read()
    request = kept.request
    if request is None:
        return kept
    return msgspec.structs.replace(kept, request=msgspec.structs.replace(request, age=0))


@contextlib.contextmanager
def full_disk(size: int = 0) -> Iterator[None]:
    """No file can grow beyond *size*: the kernel refuses, as it does on a disk without room."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


# -- the file


def test_what_is_written_is_read_at_the_next_start(file: JournalFile, folder: Path) -> None:
    assert survives(folder) == Kept()
    file.write(PRESS)
    file.write(pressed(2))
    assert survives(folder) == pressed(2)
    assert (folder / FILE_NAME).stat().st_mode & 0o777 == 0o600


def test_file_and_folders_are_on_the_disk_when_it_says_so(
    file: JournalFile, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    fsync = os.fsync

    def watched(descriptor: int) -> None:
        synced.append(Path(os.readlink(f"/proc/self/fd/{descriptor}")).name)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", watched)
    file.write(PRESS)
    assert [name for name in synced if not name.endswith(".tmp")] == [folder.parent.parent.name, "kept", "state"]
    assert synced[-1] == "state", "the file has its name only now"
    assert synced[-2].endswith(".tmp")
    file.write(pressed(2))
    assert synced[-1] == FILE_NAME


def test_a_journal_that_has_grown_is_written_anew(file: JournalFile, folder: Path) -> None:
    sizes = []
    for times in range(1, 1000):
        file.write(pressed(times))
        sizes.append((folder / FILE_NAME).stat().st_size)
    assert max(sizes) <= MAX_BYTES
    assert sizes.index(max(sizes)) < len(sizes) - 1, "it has been written anew"
    assert survives(folder) == pressed(999)


def test_after_a_torn_record_the_last_whole_one_holds_and_the_next_is_kept(file: JournalFile, folder: Path) -> None:
    file.write(PRESS)
    file.write(pressed(2))
    raw = (folder / FILE_NAME).read_bytes()
    (folder / FILE_NAME).write_bytes(raw[:-9])
    again = JournalFile(folder)
    kept, damage = again.read()
    assert kept.request is not None
    assert (kept.request.presses, damage) == (1, "the newest record is damaged: a press may be missing")
    assert (folder / DAMAGED_NAME).read_bytes() == raw[:-9], "kept for whoever wants to know"
    again.write(pressed(3))
    again.close()
    assert scan((folder / FILE_NAME).read_bytes()).damage == ""
    assert survives(folder) == pressed(3)


def test_a_journal_far_too_long_is_read_from_its_end(file: JournalFile, folder: Path) -> None:
    file.write(PRESS)
    record = (folder / FILE_NAME).read_bytes()
    with (folder / FILE_NAME).open("wb") as grown:
        grown.seek(1 << 33)  # a hole: it takes no room
        grown.write(record)
    assert survives(folder) == PRESS


def test_what_a_crash_left_half_written_is_cleared_away(file: JournalFile, folder: Path) -> None:
    file.write(PRESS)
    (folder / f".{FILE_NAME}.77.tmp").write_bytes(b"half")
    assert survives(folder) == PRESS
    assert [place.name for place in folder.iterdir()] == [FILE_NAME]


def test_a_full_disk_is_said_and_what_was_kept_before_holds(file: JournalFile, folder: Path) -> None:
    file.write(PRESS)
    with full_disk((folder / FILE_NAME).stat().st_size + 20), pytest.raises(OSError, match=r"\[Errno 27\]"):
        file.write(pressed(2))
    assert survives(folder) == PRESS
    file.write(pressed(3))
    assert survives(folder) == pressed(3)


@pytest.mark.parametrize("what", ["the file", "the folder"])
def test_a_journal_that_was_taken_away_is_noticed_and_made_again(
    file: JournalFile, folder: Path, what: str
) -> None:
    file.write(PRESS)
    (folder / FILE_NAME).unlink()
    if what == "the folder":
        folder.rmdir()
    with pytest.raises(FileNotFoundError, match="taken away"):
        file.check()
    file.write(pressed(2))
    file.check()
    assert survives(folder) == pressed(2)


def test_a_folder_that_is_a_file_is_said(file: JournalFile, folder: Path, in_the_way: Path) -> None:
    for attempt in (file.check, lambda: file.write(PRESS)):
        with pytest.raises(OSError, match="Not a directory"):
            attempt()
    assert JournalFile(folder).read() == (Kept(), "cannot be read: Not a directory")


@pytest.mark.parametrize(
    ("free", "flags", "code"), [(0, 0, errno.ENOSPC), (9, os.ST_RDONLY, errno.EROFS), (9, 0, 0)]
)
def test_a_disk_at_rest_is_looked_at(
    file: JournalFile, monkeypatch: pytest.MonkeyPatch, free: int, flags: int, code: int
) -> None:
    disk = (4096, 4096, 100, free, free, 10, 10, 10, flags, 255)
    monkeypatch.setattr(os, "statvfs", lambda path: os.statvfs_result(disk))
    if not code:
        file.check()
        return
    with pytest.raises(OSError, match=rf"\[Errno {code}\]"):
        file.check()


def test_a_folder_nobody_may_write_to_is_said(file: JournalFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(PermissionError):
        file.check()


# -- the order, and the faults


class Bed:
    """What the keeper's owner was told."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.faults: list[str] = []
        self.on_disk: list[Kept] = []
        self.sent: list[Kept] = []
        self.keeper = Keeper(
            JournalFile(folder),
            report=self.faults.append,
            kept=lambda kept, ago: self.on_disk.append(kept),
            retry_s=SOON_S,
            check_s=SOON_S,
        )

    def presses(self, times: int) -> None:
        self.keeper.keep(pressed(times))
        self.keeper.after(lambda: self.sent.append(survives(self.folder)))

    async def faulty(self, words: str) -> None:
        await until(lambda: words in self.faults[-1:][0] if self.faults else False, f"{words}: {self.faults}")

    async def mended(self) -> None:
        await until(lambda: self.faults[-1:] == [""], f"mended: {self.faults}")

    async def has_sent(self, count: int) -> None:
        await until(lambda: len(self.sent) == count, f"{count} sent")


@pytest.fixture
async def bed(folder: Path) -> AsyncIterator[Bed]:
    made = Bed(folder)
    assert made.keeper.restore() == Kept()
    made.keeper.start()
    yield made
    await made.keeper.close()


async def test_every_press_is_on_the_disk_before_it_is_sent(bed: Bed) -> None:
    for times in range(1, 51):
        bed.presses(times)
        await bed.has_sent(times)
        assert bed.sent[-1] == pressed(times)
    assert bed.faults == []
    assert bed.on_disk[-1] == pressed(50)


async def test_what_is_sent_in_one_breath_keeps_its_order(bed: Bed) -> None:
    order: list[int] = []
    for times in range(1, 21):
        bed.keeper.keep(pressed(times))
        bed.keeper.after(lambda times=times: order.append(times))  # type: ignore[misc]  # binds the loop's value
    await until(lambda: len(order) == 20)
    assert order == list(range(1, 21))


async def test_a_login_waits_for_the_disk(bed: Bed) -> None:
    bed.presses(1)
    bed.keeper.settle()
    assert bed.sent == [pressed(1)]


async def test_what_was_kept_last_is_on_the_disk_when_the_bed_ends(folder: Path) -> None:
    bed = Bed(folder)
    bed.keeper.restore()
    bed.keeper.start()
    bed.keeper.keep(pressed(3))
    await bed.keeper.close()
    assert survives(folder) == pressed(3)


async def test_on_a_full_disk_requests_go_out_from_memory_until_there_is_room_again(bed: Bed) -> None:
    with full_disk():
        bed.presses(1)
        await bed.has_sent(1)
        await bed.faulty("cannot be written: File too large")
        bed.presses(2)
        await bed.has_sent(2)
        assert survives(bed.folder) == Kept()
    await bed.mended()
    assert survives(bed.folder) == pressed(2)


async def test_a_folder_that_cannot_be_made_is_a_fault_before_anybody_presses(
    in_the_way: Path, folder: Path
) -> None:
    bed = Bed(folder)
    bed.keeper.restore()
    bed.keeper.start()
    await bed.faulty("cannot be written: Not a directory")
    os.unlink(in_the_way)
    await bed.mended()
    await bed.keeper.close()


async def test_damage_is_told_until_the_journal_is_written_anew(bed: Bed, folder: Path) -> None:
    bed.presses(1)
    await bed.has_sent(1)
    await bed.keeper.close()
    raw = (folder / FILE_NAME).read_bytes()
    (folder / FILE_NAME).write_bytes(raw + raw[:20])
    again = Bed(folder)
    assert again.keeper.restore().request is not None
    again.keeper.start()
    assert again.faults == ["the newest record is damaged: a press may be missing"]
    again.presses(2)
    await again.mended()
    assert len(again.faults) == 2
    await again.keeper.close()


@pytest.fixture
async def stuck(bed: Bed) -> AsyncIterator[Bed]:
    """A bed whose disk hangs: opening the journal does not return until somebody reads from it."""
    bed.presses(1)
    await bed.has_sent(1)
    await bed.keeper.close()
    stuck = Bed(bed.folder)
    stuck.keeper.restore()
    (bed.folder / FILE_NAME).unlink()
    os.mkfifo(bed.folder / FILE_NAME)
    stuck.keeper.start()
    yield stuck
    reader = os.open(bed.folder / FILE_NAME, os.O_RDONLY | os.O_NONBLOCK)
    await stuck.keeper.close()
    os.close(reader)


async def test_a_disk_that_hangs_delays_a_request_once_and_only_so_long(stuck: Bed, folder: Path) -> None:
    sent: list[str] = []
    stuck.keeper.keep(pressed(2))
    stuck.keeper.after(lambda: sent.append("the first"))
    assert sent == []
    await until(lambda: sent == ["the first"])
    assert stuck.faults == ["the disk does not answer within 1 s"]
    stuck.keeper.keep(pressed(3))
    stuck.keeper.after(lambda: sent.append("the second"))
    assert sent == ["the first", "the second"], "nobody waits again for a disk that hangs"
    reader = os.open(folder / FILE_NAME, os.O_RDONLY | os.O_NONBLOCK)
    await stuck.mended()
    os.close(reader)
    await until(lambda: survives(folder) == pressed(3))


async def test_a_login_does_not_wait_for_a_disk_that_hangs(stuck: Bed) -> None:
    sent: list[str] = []
    stuck.keeper.keep(pressed(2))
    stuck.keeper.after(lambda: sent.append("it"))
    async with asyncio.timeout(HANG_S):
        await asyncio.to_thread(lambda: None)
        stuck.keeper.settle()
    assert sent == ["it"]
    assert stuck.faults == ["the disk does not answer within 1 s"]


async def test_what_is_held_back_has_an_end(stuck: Bed) -> None:
    sent: list[int] = []
    stuck.keeper.keep(pressed(2))
    for number in range(keeper.MAX_HELD_BACK + 1):
        stuck.keeper.after(lambda number=number: sent.append(number))  # type: ignore[misc]  # binds the value
    assert sent == list(range(keeper.MAX_HELD_BACK + 1))
