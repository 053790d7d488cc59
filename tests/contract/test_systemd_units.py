"""The units that ship are ones that systemd understands, and keep the promise of a restart."""

from __future__ import annotations

import configparser
import shutil
import subprocess
from pathlib import Path

import pytest

from kiosk import cli
from kiosk.bedside.check_command import EXIT_NEEDED
from tests.waiting import HANG_S

SHIPPED = Path(__file__).parents[2] / "systemd"
UNITS = ["kiosk.service", "desk.service"]
PI_WATCHDOG_MAX_S = 15


@pytest.mark.parametrize("unit", UNITS)
def test_systemd_finds_nothing_to_complain_about(unit: str, tmp_path: Path) -> None:
    program = shutil.which("systemd-analyze")
    assert program, "install the package systemd (scripts/setup test does)"
    there = (SHIPPED / unit).read_text().replace("/opt/kiosk/bin/kiosk", "/bin/true")  # it is not installed here
    (tmp_path / unit).write_text(there)
    checked = subprocess.run(
        [program, "verify", "--man=no", str(tmp_path / unit)],
        capture_output=True,
        text=True,
        timeout=HANG_S,
        check=False,
    )
    complaints = [line for line in checked.stderr.splitlines() if unit in line]
    assert (checked.returncode, complaints) == (0, [])


@pytest.mark.parametrize("unit", UNITS)
def test_a_service_tells_when_it_is_ready_and_is_watched(unit: str) -> None:
    read = configparser.ConfigParser(strict=False)
    read.read(SHIPPED / unit)
    assert read["Service"]["Type"] == "notify"
    assert int(read["Service"]["WatchdogSec"]) <= 30
    assert "AF_UNIX" in read["Service"]["RestrictAddressFamilies"], "systemd is told over a Unix socket"


@pytest.mark.parametrize("unit", UNITS)
def test_a_service_that_ends_is_started_again_but_not_for_ever(unit: str) -> None:
    read = configparser.ConfigParser(strict=False)
    read.read(SHIPPED / unit)
    assert read["Service"]["Restart"] == "always"
    assert int(read["Unit"]["StartLimitBurst"]) > 0
    assert read["Service"]["NoNewPrivileges"] == "yes"
    assert read["Service"]["ProtectSystem"] == "strict"


def test_the_hardware_watchdog_is_not_asked_for_more_than_it_can() -> None:
    read = configparser.ConfigParser()
    read.read(SHIPPED / "watchdog.conf")
    assert int(read["Manager"]["RuntimeWatchdogSec"]) <= PI_WATCHDOG_MAX_S


def test_the_button_does_not_wait_for_a_network() -> None:
    """Without one, systemd would hold it back for two minutes."""
    read = configparser.ConfigParser(strict=False)
    read.read(SHIPPED / "kiosk.service")
    assert "network" not in read["Unit"].get("After", "") + read["Unit"].get("Wants", "")


def test_devices_are_allowed_by_the_names_that_the_kernel_gives_them() -> None:
    """A path must be a device: ``/dev/dma_heap`` is a folder, which systemd passes over."""
    lines = (SHIPPED / "kiosk.service").read_text().splitlines()
    allowed = [line.partition("=")[2].split()[0] for line in lines if line.startswith("DeviceAllow=")]
    assert allowed
    assert all(name.startswith("char-") for name in allowed)


@pytest.mark.parametrize("unit", UNITS)
def test_the_users_and_groups_of_the_units_are_made(unit: str) -> None:
    made = {line.split()[1] for line in (SHIPPED / "sysusers.conf").read_text().splitlines() if line[:1] in "ug"}
    service = configparser.ConfigParser(strict=False)
    service.read(SHIPPED / unit)
    distribution = {"audio", "video"}
    groups = service["Service"].get("SupplementaryGroups", "").split()
    assert {service["Service"]["User"], *groups} <= made | distribution


@pytest.mark.promise("R22")
def test_the_self_test_is_scheduled_and_can_disturb_nothing(tmp_path: Path) -> None:
    check, timer = (configparser.ConfigParser(strict=False, interpolation=None) for _ in range(2))
    check.read(SHIPPED / "kiosk-check.service")
    timer.read(SHIPPED / "kiosk-check.timer")
    service = check["Service"]
    _, name, *options = service["ExecStart"].split()
    assert (name, "--running" in options, "--relay" in options) == ("check", True, False)
    assert int(service["SuccessExitStatus"]) == EXIT_NEEDED
    assert (service["PrivateDevices"], service["RestrictAddressFamilies"]) == ("yes", "AF_UNIX")
    parsed = cli._parser().parse_args([name, *options])
    assert parsed.run is cli._check
    assert timer["Timer"]["OnCalendar"]
    assert timer["Install"]["WantedBy"] == "timers.target"
    program = shutil.which("systemd-analyze")
    assert program
    for unit in ("kiosk-check.service", "kiosk-check.timer"):
        there = (SHIPPED / unit).read_text().replace("/opt/kiosk/bin/kiosk", "/bin/true")
        (tmp_path / unit).write_text(there)
    checked = subprocess.run(
        [program, "verify", "--man=no", str(tmp_path / "kiosk-check.timer")],
        capture_output=True,
        text=True,
        timeout=HANG_S,
        check=False,
    )
    assert (checked.returncode, [line for line in checked.stderr.splitlines() if "kiosk-check" in line]) == (0, [])


def test_wrong_settings_do_not_reboot_the_machine_for_ever(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = tmp_path / "kiosk.toml"
    wrong.write_text("[bed]\ngroup = 7\n")
    waited: list[float] = []
    monkeypatch.setattr("kiosk.cli.time.sleep", waited.append)
    assert cli.main(["run", "--settings", str(wrong)]) == cli.EXIT_ERROR
    assert waited == [], "a person at a terminal does not wait"
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    assert cli.main(["run", "--settings", str(wrong)]) == cli.EXIT_ERROR
    assert "bed.group = 7" in capsys.readouterr().err
    read = configparser.ConfigParser(strict=False)
    read.read(SHIPPED / "kiosk.service")
    limit = int(read["Unit"]["StartLimitIntervalSec"]) / waited[0]
    assert limit < int(read["Unit"]["StartLimitBurst"])
