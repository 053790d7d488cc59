"""The bed's network changes in a talk: an address goes, and the talk goes on by another without a new press."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.waiting import HANG_S

ALONE = ("unshare", "--user", "--map-root-user", "--net")
ROOT = Path(__file__).parents[2]


def _may_have_a_network_of_its_own() -> bool:
    try:
        return subprocess.run([*ALONE, "ip", "link", "set", "lo", "up"], capture_output=True).returncode == 0
    except OSError:
        return False


@pytest.mark.promise("R10")
@pytest.mark.skipif(not _may_have_a_network_of_its_own(), reason="needs ip and user namespaces")
def test_an_address_that_goes_in_a_talk_is_replaced_without_a_new_press(tmp_path: Path) -> None:
    done = subprocess.run(
        [*ALONE, sys.executable, "-m", "tests.fault.network_change", str(tmp_path / "ward")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=6 * HANG_S,
    )
    assert done.stdout.endswith("talked on\n"), done.stderr
