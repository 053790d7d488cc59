"""A machine under QEMU that boots the disk of ``scripts/boot-disk``, with a hardware watchdog that resets it.

The watchdog is Intel's 6300ESB, behind the same kernel interface as the Raspberry Pi's. There is no KVM: the
processor is emulated on one thread (in QEMU 7.2, 16-byte compare-and-swap goes wrong on several, and numpy needs
it). What the guest writes to the disk survives its resets, not the end of QEMU. Everything runs on the caller's
event loop.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
BUILT = ROOT / "build" / "boot"
LOOPBACK = "127.0.0.1"
DESK_SEEN_INSIDE = "10.0.2.100"
"""The guest's only way out of itself: on port 8443 of this address it finds the test's desk."""
MEMORY_MB = 1024
PROCESSOR = "max,-erms,-fsrm"
"""Without the strings that are quick in silicon: emulated, a page is copied byte by byte by them."""
BOOT_TIMEOUT_S = 600.0
"""A limit against hanging: emulated, on a busy machine."""
COMMAND_TIMEOUT_S = 120.0
QUIT_TIMEOUT_S = 10.0
LOOK_AGAIN_S = 0.05
KERNEL_ARGUMENTS = (
    "root=/dev/vda rw console=ttyS0 "
    # Against faults that a Raspberry Pi's processor does not have, and very slow when emulated.
    "mitigations=off "
    # A panic is left to the watchdog.
    "panic=0 systemd.journald.forward_to_console=1 systemd.show_status=no"
)


@dataclass
class Machine:
    """A running guest. *console* is what its first serial line printed, over all its boots."""

    process: asyncio.subprocess.Process
    console: Path
    _writer: asyncio.StreamWriter
    _boots: list[str] = field(default_factory=list)
    _booted: asyncio.Condition = field(default_factory=asyncio.Condition)
    _answers: dict[str, asyncio.Future[tuple[int, str]]] = field(default_factory=dict)
    _ids: itertools.count[int] = field(default_factory=itertools.count)

    @property
    def boots(self) -> int:
        """How often it has booted, as far as its agent."""
        return len(self._boots)

    async def has_booted(self, times: int) -> None:
        """Wait until it has booted so often."""
        async with asyncio.timeout(BOOT_TIMEOUT_S), self._booted:
            await self._booted.wait_for(lambda: self.boots >= times)

    async def tries(self, command: str) -> tuple[int, str]:
        """Run a shell *command* in it, as root; returns the exit status and what was printed."""
        number = str(next(self._ids))
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        self.says(command, number=number)
        async with asyncio.timeout(COMMAND_TIMEOUT_S):
            status, output = await answer
            return status, output

    async def runs(self, command: str) -> str:
        """As :meth:`tries`; returns what was printed, and fails when the command does."""
        status, output = await self.tries(command)
        assert status == 0, f"{command}: exit status {status}: {output}"
        return output.strip()

    def says(self, command: str, *, number: str = "-") -> None:
        """Run a *command* whose answer will never come: it ends the machine."""
        self._writer.write(f"{number} {base64.b64encode(command.encode()).decode()}\n".encode())

    def printed(self) -> str:
        """The console so far."""
        return self.console.read_text(errors="replace")

    async def prints(self, pattern: str, *, after: int = 0) -> None:
        """Wait until the console, from character *after* on, has a line with the regular expression *pattern*."""
        async with asyncio.timeout(BOOT_TIMEOUT_S):
            while not re.search(pattern, self.printed()[after:]):  # noqa: ASYNC110  (a file: nobody announces it)
                await asyncio.sleep(LOOK_AGAIN_S)

    async def follow(self, reader: asyncio.StreamReader) -> None:
        """Read what the agent says, until the guest is gone."""
        while line := await reader.readline():
            words = line.decode(errors="replace").split()
            if len(words) != 3:
                continue  # a line that a reset cut
            name, value, rest = words
            if name == "boot":
                async with self._booted:
                    self._boots.append(value)
                    self._booted.notify_all()
            elif (answer := self._answers.pop(name, None)) is not None:
                answer.set_result((int(value), base64.b64decode(rest.rstrip("-")).decode(errors="replace")))


@contextlib.asynccontextmanager
async def switched_on(folder: Path, *, desk_port: int) -> AsyncIterator[Machine]:
    """A machine whose console and sockets are in *folder*; it is switched off at the end."""
    console, agent = folder / "console.log", folder / "agent"
    to_desk = f"tcp:{DESK_SEEN_INSIDE}:8443-cmd:socat - TCP:{LOOPBACK}:{desk_port}"
    process = await asyncio.create_subprocess_exec(
        *("qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none"),
        *("-machine", "q35", "-accel", "tcg,thread=single", "-cpu", PROCESSOR),
        *("-smp", "1", "-m", str(MEMORY_MB)),
        *("-kernel", str(BUILT / "vmlinuz"), "-initrd", str(BUILT / "initrd"), "-append", KERNEL_ARGUMENTS),
        *("-drive", f"file={BUILT / 'disk.ext4'},if=virtio,format=raw,snapshot=on"),
        *("-netdev", f"user,id=net,restrict=on,guestfwd={to_desk}"),
        *("-device", "virtio-net-pci,netdev=net"),
        *("-device", "i6300esb", "-watchdog-action", "reset"),
        *("-serial", f"file:{console}"),
        *("-serial", f"unix:{agent},server=on,wait=off"),
    )
    try:
        while not agent.is_socket():
            assert process.returncode is None, "QEMU did not start"
            await asyncio.sleep(LOOK_AGAIN_S)
        reader, writer = await asyncio.open_unix_connection(agent)
        machine = Machine(process, console, writer)
        following = asyncio.create_task(machine.follow(reader))
        yield machine
        following.cancel()
        writer.close()
    finally:
        if process.returncode is None:
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), QUIT_TIMEOUT_S)
        except TimeoutError:
            process.kill()
            await process.wait()
