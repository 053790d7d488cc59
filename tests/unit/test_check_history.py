"""The results of self-tests are kept, bounded, and lose nothing to a file that was damaged."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kiosk.check import history
from kiosk.check.findings import Part, Report, fine


def report(at: int) -> Report:
    return Report(at=at, version="1.2.3", findings=(fine(Part.DISK, "disk_ok", free_mb=9, sync_ms=at),))


def test_results_are_kept_in_order(tmp_path: Path) -> None:
    assert history.read(tmp_path) == ()
    for at in (1, 2, 3):
        history.add(tmp_path, report(at))
    assert history.read(tmp_path) == (report(1), report(2), report(3))
    assert (tmp_path / history.FILE_NAME).stat().st_mode & 0o777 == 0o600


def test_the_oldest_go_when_there_are_too_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "KEPT", 3)
    for at in range(10):
        history.add(tmp_path, report(at))
    assert [each.at for each in history.read(tmp_path)] == [7, 8, 9]


@pytest.mark.parametrize(
    "damage",
    [b"\x00\xff garbage\n", b"{\n", b"[" * 20_000 + b"\n", b'{"at": -1}\n', b'{"at": 1, "version": "'],
)
def test_a_damaged_line_is_passed_over_and_the_file_kept(tmp_path: Path, damage: bytes) -> None:
    history.add(tmp_path, report(1))
    path = tmp_path / history.FILE_NAME
    broken = damage + path.read_bytes() + damage
    path.write_bytes(broken)
    if damage.endswith(b"\n"):
        assert history.read(tmp_path) == (report(1),)
    history.add(tmp_path, report(2))
    assert history.read(tmp_path)[-1] == report(2)
    assert (tmp_path / history.DAMAGED_NAME).read_bytes() == broken


def test_no_more_is_read_than_we_would_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    history.add(tmp_path, report(1))
    path = tmp_path / history.FILE_NAME
    with monkeypatch.context() as limited:
        limited.setattr(history, "MAX_BYTES", path.stat().st_size)
        path.write_bytes(path.read_bytes() * 2)
        assert [each.at for each in history.read(tmp_path)] == [1]
        history.add(tmp_path, report(2))
    assert [each.at for each in history.read(tmp_path)] == [1, 2]


def test_what_another_version_added_does_not_lose_the_result(tmp_path: Path) -> None:
    line = (
        b'{"at":5,"version":"9","findings":[{"part":"disk","verdict":"ok","code":"disk_new","new":1}],"more":2}\n'
    )
    (tmp_path / history.FILE_NAME).write_bytes(line)
    (kept,) = history.read(tmp_path)
    assert kept.findings[0].code == "disk_new"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can write for another user")
def test_a_check_by_root_leaves_the_file_to_the_beds_own_user(tmp_path: Path) -> None:
    os.chown(tmp_path, 12345, 12346)
    history.add(tmp_path, report(1))
    there = (tmp_path / history.FILE_NAME).stat()
    assert (there.st_uid, there.st_gid) == (12345, 12346)


def test_a_folder_that_is_not_there_is_an_error_in_its_words(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        history.add(tmp_path / "gone", report(1))
