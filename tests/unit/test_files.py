"""A secret is its owner's only, and one that is not is refused with the remedy."""

from __future__ import annotations

import re
import stat
from pathlib import Path

import pytest

from kiosk.errors import SettingsError
from kiosk.files import read_secret, write_secret


def test_a_secret_is_kept_for_its_owner_only_and_read_back(tmp_path: Path) -> None:
    path = tmp_path / "desk-data" / "secret"
    write_secret(path, "s3cret\n")
    assert read_secret(path) == "s3cret"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_secret_written_over_a_readable_file_is_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("old")
    path.chmod(0o644)
    write_secret(path, "new")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o777])
def test_a_secret_that_others_can_read_is_refused_with_the_remedy(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "user_sig"
    write_secret(path, "s3cret")
    path.chmod(mode)
    with pytest.raises(SettingsError, match=re.escape(f"allowed is mode 0600: chmod 600 {path}")) as refused:
        read_secret(path)
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"", "is empty"), (b" \n", "is empty"), (b"s3cret\xff", "is not text")],
)
def test_a_secret_that_is_none_is_refused(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "user_sig"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(SettingsError, match=re.escape(f"{path}: {words}")) as refused:
        read_secret(path)
    assert "s3cret" not in f"{refused.value}"


def test_a_missing_secret_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=re.escape(f"{tmp_path / 'user_sig'}: there is no such file")):
        read_secret(tmp_path / "user_sig")


def test_a_folder_is_no_secret(tmp_path: Path) -> None:
    (tmp_path / "user_sig").mkdir(mode=0o700)
    with pytest.raises(SettingsError, match="cannot be read: Is a directory"):
        read_secret(tmp_path / "user_sig")
