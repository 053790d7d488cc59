"""The commands as a technician meets them: real processes, their words, their exit status, and what they leave."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from websockets.asyncio.client import connect

from kiosk import __version__
from tests.children import children
from tests.waiting import HANG_S, until

EXIT_ERROR, EXIT_INTERRUPTED = 2, 130
DEMO_S = 90.0
"""A limit against hanging for two whole calls."""
HOST = "127.0.0.1"


class Command:
    """A running ``kiosk …``."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.printed = ""

    async def prints(self, pattern: str) -> re.Match[str]:
        """Wait for a line that matches."""
        assert self.process.stdout is not None
        async with asyncio.timeout(HANG_S):
            while True:
                line = (await self.process.stdout.readline()).decode()
                assert line, f"it ended without printing {pattern!r}, after:\n{self.printed}"
                self.printed += line
                found = re.search(pattern, line)
                if found:
                    return found

    async def ends(self, within_s: float = HANG_S) -> tuple[int, str, str]:
        """Exit status, standard output and standard error."""
        output, errors = await asyncio.wait_for(self.process.communicate(), within_s)
        assert self.process.returncode is not None
        return self.process.returncode, self.printed + output.decode(), errors.decode()


@asynccontextmanager
async def kiosk(*arguments: str | Path, env: Mapping[str, str] | None = None) -> AsyncIterator[Command]:
    """Start ``kiosk`` with *arguments*; it is gone afterwards."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "kiosk", *map(str, arguments)),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=os.environ | (env or {}),
    )
    try:
        yield Command(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def told(*arguments: str | Path, env: Mapping[str, str] | None = None) -> tuple[int, str, str]:
    async with kiosk(*arguments, env=env) as command:
        return await command.ends()


async def mistake(*arguments: str | Path, env: Mapping[str, str] | None = None) -> str:
    """The one line, after the log's, with which a command refuses to work."""
    status, output, errors = await told(*arguments, env=env)
    assert status == EXIT_ERROR
    assert output == ""
    assert "Traceback" not in errors
    *before, line = errors.splitlines()
    assert not [said for said in before if said.startswith("kiosk: ")]
    return line


def settings_file(folder: Path, text: str) -> Path:
    path = folder / "kiosk.toml"
    path.write_text(text)
    return path


@pytest.fixture
def port() -> int:
    """A port that is free together with the next one."""
    while True:
        with socket.socket() as first, socket.socket() as second:
            first.bind((HOST, 0))
            number: int = first.getsockname()[1]
            try:
                second.bind((HOST, number + 1))
            except (OSError, OverflowError):
                continue
            return number


# -- words


async def test_the_version_is_told() -> None:
    assert await told("--version") == (0, f"kiosk {__version__}\n", "")


async def test_without_a_command_those_there_are_can_be_asked_for() -> None:
    status, _, errors = await told()
    assert status == EXIT_ERROR
    assert "COMMAND" in errors
    status, output, _ = await told("--help")
    assert status == 0
    assert all(
        re.search(rf"^ +{command} ", output, re.MULTILINE) for command in ("demo", "run", "check", "desk", "bench")
    )


@pytest.mark.parametrize("command", [("run",), ("desk",), ("desk", "usersig", "bed-1"), ("desk", "code", "a")])
async def test_a_wrong_setting_is_told_in_one_line_by_every_command(command: tuple[str], tmp_path: Path) -> None:
    path = settings_file(tmp_path, 'bed.language = "fr"')
    status, output, errors = await told(*command, "--settings", path)
    assert (status, output) == (EXIT_ERROR, "")
    assert errors == f'kiosk: {path}: bed.language = "fr": allowed is "en" or "zh"\n'


async def test_settings_may_stand_before_the_action_of_the_desk(tmp_path: Path) -> None:
    path = settings_file(tmp_path, "lamp.pin = 99")
    assert "lamp.pin = 99" in await mistake("desk", "--settings", path, "usersig", "bed-1")


async def test_settings_can_be_named_by_the_environment(tmp_path: Path) -> None:
    path = settings_file(tmp_path, "lamp.pin = 99")
    assert f"{path}: lamp.pin = 99" in await mistake("run", env={"KIOSK_SETTINGS": str(path)})


async def test_a_settings_file_that_is_not_there_is_said_to_be_so(tmp_path: Path) -> None:
    _, _, errors = await told("desk", "usersig", "bad id", "--settings", tmp_path / "typo.toml")
    assert f"there is no settings file {tmp_path / 'typo.toml'}: the vendor's defaults hold" in errors


async def test_a_bed_without_pins_says_what_to_do(tmp_path: Path) -> None:
    """These tests do not run on a Pi."""
    line = await mistake("run", "--settings", settings_file(tmp_path, 'video.camera = "none"'))
    assert line.startswith("kiosk: GPIO: this machine's pins cannot be used (")
    assert "on a Pi install lgpio and join the group gpio" in line
    assert "elsewhere set buttons.simulated = true" in line


async def test_a_hand_presses_no_real_buttons(tmp_path: Path) -> None:
    line = await mistake("run", "--hand", "--settings", settings_file(tmp_path, ""))
    assert line == "kiosk: --hand presses simulated buttons only: set buttons.simulated = true"


async def test_a_wrong_media_address_is_told(tmp_path: Path) -> None:
    line = await mistake("run", "--settings", settings_file(tmp_path, 'media.interfaces = ["wlan0"]'))
    assert line == "kiosk: media.interfaces: 'wlan0' is not an IP address, such as '10.1.2.3'"


async def test_a_trace_that_cannot_be_written_is_told_by_name(tmp_path: Path) -> None:
    path = settings_file(tmp_path, "buttons.simulated = true")
    trace = tmp_path / "no-such-folder" / "trace.jsonl"
    line = await mistake("run", "--settings", path, "--trace", trace)
    assert line == f"kiosk: {trace}: cannot be used: No such file or directory"


async def test_a_desks_folder_that_cannot_be_made_is_told_by_name(tmp_path: Path) -> None:
    (tmp_path / "data").touch()
    line = await mistake("desk", "--settings", settings_file(tmp_path, 'desk.data = "data"'))
    assert line.startswith(f"kiosk: {tmp_path / 'data'}")


async def test_a_bad_user_id_is_told(tmp_path: Path) -> None:
    line = await mistake("desk", "usersig", "bed 1", "--settings", settings_file(tmp_path, ""))
    assert line == "kiosk: user id 'bed 1' is not allowed: use 1 to 32 of A-Z a-z 0-9 _ -"


@pytest.mark.parametrize("command", [("desk",), ("demo", "--no-browser")])
async def test_a_missing_extra_is_told_with_how_to_install_it(command: tuple[str], tmp_path: Path) -> None:
    package = tmp_path / "starlette"
    package.mkdir()
    (package / "__init__.py").write_text(
        "raise ModuleNotFoundError(\"No module named 'starlette'\", name='starlette')\n"
    )
    path = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    line = await mistake(*command, env={"PYTHONPATH": path, "KIOSK_SETTINGS": str(settings_file(tmp_path, ""))})
    assert line == "kiosk: the package 'starlette' is missing: pip install 'bedside-kiosk[desk]'"


# -- a port


async def test_a_port_in_use_is_told_with_the_setting_to_change(port: int, tmp_path: Path) -> None:
    with socket.create_server((HOST, port)):
        line = await mistake("desk", "--settings", settings_file(tmp_path, f"desk.port = {port}"))
    assert line == (
        f"kiosk: desk.port = {port}: another program listens at {HOST}:{port}; stop it or choose another port"
    )


@pytest.mark.parametrize("taken", [0, 1])
async def test_a_demo_on_a_port_in_use_says_so_and_leaves_nothing(port: int, taken: int, tmp_path: Path) -> None:
    with socket.create_server((HOST, port + taken)):
        status, _, errors = await told("demo", "--no-browser", "--port", str(port), env={"TMPDIR": str(tmp_path)})
    assert status == EXIT_ERROR
    assert f"port = {port + taken}: another program listens at {HOST}:{port + taken}" in errors.splitlines()[-1]
    assert "Traceback" not in errors
    assert not left_in(tmp_path)


@pytest.mark.parametrize("number", ["65535", "-1", "http"])
async def test_a_demo_needs_a_port_that_exists_and_a_next_one(number: str) -> None:
    status, _, errors = await told("demo", "--no-browser", f"--port={number}")
    assert status == EXIT_ERROR
    assert f"argument --port: '{number}': allowed is 0 to 65534" in errors


# -- the desk and the demo, from beginning to end


def left_in(folder: Path) -> list[Path]:
    return list(folder.iterdir())


def runs(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_desk_told_to_stop_ends_in_order(number: signal.Signals, tmp_path: Path) -> None:
    async with kiosk("desk", "--settings", settings_file(tmp_path, "desk.port = 0")) as desk:
        url = (await desk.prints(r"^ready (http://localhost:[0-9]+/)$"))[1]
        async with connect(url.replace("http", "ws") + "ws", proxy=None):
            desk.process.send_signal(number)
            status, _, errors = await desk.ends()
    assert status == 0
    assert "Traceback" not in errors


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_demo_shows_its_pages_and_leaves_nothing_behind(
    number: signal.Signals, port: int, tmp_path: Path
) -> None:
    async with kiosk("demo", "--no-browser", "--port", str(port), env={"TMPDIR": str(tmp_path)}) as demo:
        seat = (await demo.prints(r"^Seat page \(signed in as Nurse Lin\): (\S+)$"))[1]
        other = (await demo.prints(r"^A second seat \(Nurse Meyer\): +(\S+)$"))[1]
        view = (await demo.prints(r"^Bedside view: +(\S+)$"))[1]
        assert seat.startswith(f"http://localhost:{port}/#code=")
        assert other.startswith(f"http://localhost:{port}/#code=")
        assert view == f"http://localhost:{port + 1}/"
        async with httpx.AsyncClient(trust_env=False) as browser:
            for address in (seat, view):
                page = await browser.get(address)
                assert page.status_code == 200
                assert "<title>" in page.text
        assert len(left_in(tmp_path)) == 1
        started = children(demo.process.pid)
        assert len(started) == 1
        async with connect(view.replace("http", "ws") + "state", proxy=None) as state:
            await asyncio.wait_for(state.recv(), HANG_S)
            demo.process.send_signal(number)
            status, _, errors = await demo.ends()
        assert not any(map(runs, started))
    assert status == 0
    assert "Traceback" not in errors
    assert not left_in(tmp_path)


async def test_a_demo_by_itself_verifies_both_calls_and_prints_each_stage(tmp_path: Path) -> None:
    async with kiosk("demo", "--auto", env={"TMPDIR": str(tmp_path)}) as demo:
        status, output, errors = await demo.ends(DEMO_S)
    assert status == 0, errors
    stages = re.findall(r"^  (\S.*?) +[0-9]+\.[0-9] ms$", output, re.MULTILINE)
    both = [
        "press → lamp",
        "press → the seat rings",
        "accept → first sound at the seat",
        "accept → first sound at the bed",
    ]
    pictures = ["accept → first picture at the seat", "accept → first picture at the bed"]
    assert stages == both + pictures + both
    assert output.endswith("demo: a press rang the seat, both saw and heard each other, all verified\n")
    assert "Traceback" not in errors
    assert not left_in(tmp_path)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_demo_interrupted_by_itself_does_not_claim_to_have_verified(
    number: signal.Signals, tmp_path: Path
) -> None:
    async with kiosk("demo", "--auto", env={"TMPDIR": str(tmp_path)}) as demo:
        await demo.prints("press → lamp")
        started = children(demo.process.pid)
        demo.process.send_signal(number)
        status, output, errors = await demo.ends()
        assert started
        assert not any(map(runs, started))
    assert status == EXIT_INTERRUPTED
    assert "all verified" not in output
    assert "Traceback" not in errors
    assert not left_in(tmp_path)


async def test_the_latency_trace_is_printed_when_the_bed_ends(tmp_path: Path) -> None:
    words = 'signaling.url = "ws://127.0.0.1:1/ws"\nbuttons.simulated = true\nvideo.camera = "none"\n'
    path = settings_file(tmp_path, words + 'audio = { microphone = "none", speaker = "none" }')
    trace = tmp_path / "trace.jsonl"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "kiosk", "run", "--settings", str(path)),
        *("--hand", "--latency-trace", "--trace", str(trace)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdin is not None
        process.stdin.write(b"call tap\n")
        await until(lambda: trace.exists() and "request_on_disk" in trace.read_text(), "the press is on disk")
        process.terminate()
        output, errors = await asyncio.wait_for(process.communicate(), HANG_S)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, errors.decode()
    rows = [re.split(r"  +", line) for line in output.decode().splitlines()]
    assert rows[0] == ["milliseconds", "times", "p50", "p95", "max"]
    assert [row[:2] for row in rows[1:]] == [["edge → lamp", "1"], ["edge → press on disk", "1"]]
