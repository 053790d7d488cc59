"""The watchdog's layers on a booted system: whatever stands still, the same request comes back by itself."""

from __future__ import annotations

import asyncio
import base64
import time

import pytest

from kiosk.bedside.journal import Kept, scan
from kiosk.bedside.journal_file import FILE_NAME
from kiosk.signaling import messages as wire
from tests.boot.machine import BOOT_TIMEOUT_S, LOOK_AGAIN_S, Machine
from tests.boot.nurse import Nurse

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.promise("R11")]

UNITS = "kiosk.service desk.service"
BECOMES_ACTIVE = "until systemctl --quiet is-active kiosk.service; do sleep 0.5; done"
CONNECTED = "connected to the desk"
RECOVERED_WITHIN_S = 60.0
"""The promise (nurse-call.md §7, 11)."""

HANGS = {
    "the kernel": "echo c >/proc/sysrq-trigger",
    "systemd": "echo 1 >/sys/fs/cgroup/init.scope/cgroup.freeze",
}


async def on_disk(machine: Machine) -> Kept:
    """What the bed's journal in the machine has kept."""
    raw = base64.b64decode(await machine.runs(f"base64 /var/lib/kiosk/{FILE_NAME}"))
    return scan(raw).kept(now=round(time.time() * 1000))


async def presses(machine: Machine, nurse: Nurse) -> wire.RequestView:
    """One press; returns the request as the nurse sees it. On a slow machine its bounce may count as a second."""
    await machine.runs("echo call tap >/run/kiosk-hand")
    return await nurse.sees(bed_user="bed-301-2", online=True)


async def is_attended(machine: Machine) -> None:
    """So that the next test begins without a request."""
    await machine.runs("echo attend tap >/run/kiosk-hand")
    async with asyncio.timeout(BOOT_TIMEOUT_S):
        while (await on_disk(machine)).request is not None:  # noqa: ASYNC110  (nobody announces it)
            await asyncio.sleep(LOOK_AGAIN_S)


async def test_kiosk_and_desk_come_up_on_a_real_systemd(machine: Machine, figures: dict[str, float]) -> None:
    began = time.monotonic()
    await machine.has_booted(1)
    await machine.runs(BECOMES_ACTIVE)
    await machine.prints(CONNECTED)
    figures["switched on → the bed is connected to the desk"] = time.monotonic() - began
    await machine.runs("systemctl start desk.service")  # returns when it has said that it listens
    assert "failed" not in await machine.runs("systemctl list-units --failed --no-legend")


async def test_systemd_itself_feeds_the_hardware_watchdog(machine: Machine) -> None:
    assert "i6300ESB" in await machine.runs("cat /sys/class/watchdog/watchdog0/identity")
    assert await machine.runs("cat /sys/class/watchdog/watchdog0/state") == "active"
    assert await machine.runs("cat /sys/class/watchdog/watchdog0/timeout") == "15"


@pytest.mark.parametrize("unit", UNITS.split())
async def test_what_the_unit_forbids_is_forbidden(machine: Machine, unit: str) -> None:
    pid = await machine.runs(f"systemctl show --value --property MainPID {unit}")
    status = dict(
        line.split(":\t", 1)
        for line in (await machine.runs(f"cat /proc/{pid}/status")).splitlines()
        if ":\t" in line
    )
    assert status["NoNewPrivs"] == "1"
    assert int(status["CapEff"], 16) == int(status["CapBnd"], 16) == 0
    assert int(status["Uid"].split()[0]) != 0
    inside = f"nsenter --mount --target {pid} touch"
    for folder in ("/etc", "/usr", "/opt/kiosk", "/var/lib"):
        assert "Read-only file system" in (await machine.tries(f"{inside} {folder}/x"))[1], folder
    in_its_group = f"echo $$ >/sys/fs/cgroup/system.slice/{unit}/cgroup.procs"
    assert "Operation not permitted" in (await machine.tries(f"{in_its_group} && head -c 1 /dev/vda"))[1]
    own = "/var/lib/" + unit.removesuffix(".service").replace("desk", "kiosk-desk")
    await machine.runs(f"{inside} {own}/x && rm {own}/x")


async def test_no_unit_has_a_line_that_systemd_does_not_understand(machine: Machine) -> None:
    wrong = [line for line in machine.printed().splitlines() if "systemd[1]" in line and ".service:" in line]
    assert not [line for line in wrong if "nknown" in line or "nvalid" in line or "gnoring" in line]
    assert "is not a device" not in machine.printed()


async def test_a_bed_that_stands_still_is_started_again_by_systemd(
    machine: Machine, nurse: Nurse, figures: dict[str, float]
) -> None:
    request = await presses(machine, nurse)
    before, stopped = len(machine.printed()), time.monotonic()
    await machine.runs("systemctl kill --signal STOP kiosk.service")
    kept = (await on_disk(machine)).request
    await machine.prints("kiosk.service: Watchdog timeout", after=before)
    await machine.prints(CONNECTED, after=before)
    again = await nurse.sees(request_id=request.request_id, online=True)
    took = time.monotonic() - stopped
    figures["the bed's process stands still → its request is back"] = took
    assert kept is not None
    assert (again.request_id, again.presses) == (kept.request_id, kept.presses)
    assert again.age > request.age
    assert took < RECOVERED_WITHIN_S
    assert machine.boots == 1, "nothing else was started anew"
    await is_attended(machine)


@pytest.mark.parametrize("what", HANGS)
async def test_a_machine_that_hangs_is_reset_by_its_hardware(
    machine: Machine, nurse: Nurse, figures: dict[str, float], what: str
) -> None:
    request = await presses(machine, nurse)
    boots, before, hung = machine.boots, len(machine.printed()), time.monotonic()
    machine.says(HANGS[what])
    await machine.prints("Linux version", after=before)
    figures[f"{what} hangs → it is reset"] = time.monotonic() - hung
    await machine.has_booted(boots + 1)
    again = await nurse.sees(request_id=request.request_id, online=True)
    took = time.monotonic() - hung
    figures[f"{what} hangs → the request is back"] = took
    assert again.presses >= request.presses
    assert again.age > request.age
    assert "systemd-shutdown" not in machine.printed()[before:], "nobody shut it down: it was reset"
    assert took < RECOVERED_WITHIN_S
    await is_attended(machine)


async def test_where_no_restart_of_the_bed_helps_the_machine_is_started_anew(
    machine: Machine, nurse: Nurse, figures: dict[str, float]
) -> None:
    request = await presses(machine, nurse)
    boots, began = machine.boots, time.monotonic()
    # Until the next boot: /run is not kept.
    folder = "/run/systemd/system/kiosk.service.d"
    await machine.runs(f"mkdir -p {folder} && printf '[Service]\\nExecStartPre=false\\n' >{folder}/broken.conf")
    await machine.runs("systemctl daemon-reload && systemctl kill --signal KILL kiosk.service")
    await machine.has_booted(boots + 1)
    again = await nurse.sees(request_id=request.request_id, online=True)
    figures["the bed fails at once each time → reboot → the request is back"] = time.monotonic() - began
    assert again.age > request.age
    await is_attended(machine)
