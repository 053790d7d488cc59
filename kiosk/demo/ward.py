"""A ward on one machine: a real desk process and one bed with simulated pins.

Shared by the demo, the benchmarks and the end-to-end tests, so that all of them run what a Raspberry Pi runs.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from kiosk.bedside.trace import Moment
from kiosk.desk.registry import Registry
from kiosk.errors import KioskError
from kiosk.settings import Settings, save, write_secret

START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 10.0
CODE_LIFE_S = 12 * 3600
CODE_USES = 1000
"""The demo's sign-in link may be opened as often as one likes while the demo runs."""


@dataclass
class DeskProcess:
    """A running ``kiosk desk``."""

    process: asyncio.subprocess.Process
    url: str

    async def stop(self) -> None:
        """End it in an orderly way, or by force."""
        await _stop(self.process)


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.terminate()
    try:
        await asyncio.wait_for(process.wait(), STOP_TIMEOUT_S)
    except TimeoutError:
        process.kill()
        await process.wait()


@dataclass(frozen=True)
class Ward:
    """The folder a demo lives in, with ``desk.toml``, ``bed.toml`` and the secrets."""

    folder: Path
    settings: Settings

    @property
    def desk_file(self) -> Path:
        """The desk's settings."""
        return self.folder / "desk.toml"

    @property
    def bed_file(self) -> Path:
        """The bed's settings."""
        return self.folder / "bed.toml"

    def registry(self) -> Registry:
        """The desk's registry, for making tickets and codes."""
        return Registry(self.settings.desk, self.folder / self.settings.desk.data)

    def prepare(self) -> None:
        """Write the desk's settings."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        save(self.settings, self.desk_file)

    async def start_desk(self) -> DeskProcess:
        """Start the desk and wait until it listens. Raises :exc:`KioskError` with its last words."""
        with (self.folder / "desk.log").open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-m", "kiosk", "desk", "--settings", str(self.desk_file)),
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                # Its own group: Ctrl-C in the terminal ends the demo, and the demo ends its desk.
                start_new_session=True,
            )
        assert process.stdout is not None
        try:
            line = (await asyncio.wait_for(process.stdout.readline(), START_TIMEOUT_S)).decode()
        except TimeoutError:
            process.kill()
            raise KioskError(f"the desk did not start within {START_TIMEOUT_S:.0f} s") from None
        if not line.startswith("ready "):
            await process.wait()
            words = (self.folder / "desk.log").read_text(errors="replace").strip().splitlines()
            raise KioskError(words[-1].removeprefix("kiosk: ") if words else "the desk did not start")
        return DeskProcess(process, line.removeprefix("ready ").strip())

    def bed_settings(self, desk_url: str) -> Settings:
        """The bed's settings, now that the desk's address is known; writes them and the bed's UserSig."""
        signaling = msgspec.structs.replace(self.settings.signaling, url=desk_url.replace("http", "ws", 1) + "ws")
        settings = msgspec.structs.replace(self.settings, signaling=signaling)
        save(settings, self.bed_file)
        user_sig = self.registry().issue(signaling.user_id, now=int(time.time()))
        write_secret(self.folder / signaling.user_sig_file, user_sig)
        return settings

    async def start_bed(self, environment: Mapping[str, str] | None = None) -> BedProcess:
        """Start the bed, whose settings were written before."""
        trace = self.folder / "trace.jsonl"
        with (self.folder / "bed.log").open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-m", "kiosk", "run", "--settings", str(self.bed_file), "--hand", "--trace", str(trace)),
                stdin=asyncio.subprocess.PIPE,
                stderr=log,
                start_new_session=True,
                env={**os.environ, **(environment or {})},
            )
        return BedProcess(process, trace)

    def seat_link(self, desk_url: str, user_id: str) -> str:
        """The address of the seat page, already signed in."""
        code = self.registry().make_code(user_id, now=int(time.time()), uses=CODE_USES, life_s=CODE_LIFE_S)
        return f"{desk_url}#code={code}"


@dataclass
class BedProcess:
    """A running ``kiosk run --hand``."""

    process: asyncio.subprocess.Process
    trace: Path

    def hand(self, line: str) -> None:
        """Press a button, as :mod:`kiosk.bedside.hand` reads it."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n".encode())

    def moments(self) -> list[Moment]:
        """All that was traced so far."""
        if not self.trace.exists():
            return []
        lines = self.trace.read_bytes().splitlines(keepends=True)
        return [msgspec.json.decode(line, type=Moment) for line in lines if line.endswith(b"\n")]

    async def stop(self) -> None:
        """End it in an orderly way, or by force."""
        await _stop(self.process)
