"""``kiosk desk`` as an operator meets it: one clear line for each mistake, and secrets that stay where they are."""

from __future__ import annotations

import asyncio
import resource
import socket
import stat
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import httpx
import msgspec
import pytest

from kiosk import settings, usersig
from kiosk.demo.ward import Ward
from kiosk.settings import Settings, read_secret
from tests.desks import SEATS
from tests.waiting import HANG_S

SECRETS = ("secret_key", "passphrases", "sign-in-codes")


def ward_in(folder: Path, **desk: object) -> Ward:
    made = settings.Desk(port=0, seats=SEATS)
    ward = Ward(folder, Settings(desk=msgspec.structs.replace(made, **desk)))
    ward.prepare()
    return ward


@dataclass
class Said:
    """How a command ended."""

    status: int
    out: str
    error: str

    @property
    def line(self) -> str:
        """The one line it printed, and no traceback."""
        (line,) = self.error.splitlines()
        return line


async def kiosk(ward: Ward, *arguments: str, stdin: str = "") -> Said:
    """Run ``kiosk desk`` with *arguments*."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "kiosk", "desk", "--settings", str(ward.desk_file), *arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(HANG_S):
            out, error = await process.communicate(stdin.encode())
    finally:
        if process.returncode is None:
            process.kill()
    assert process.returncode is not None
    return Said(process.returncode, out.decode(), error.decode())


async def test_a_port_in_use_is_named_with_its_setting(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = await kiosk(ward_in(tmp_path, port=port))
    assert said.status == 2
    assert said.line == (
        f"kiosk: desk.port = {port}: another program listens at 127.0.0.1:{port}; stop it or choose another port"
    )


async def test_a_host_that_is_not_ours_is_named_with_its_setting(tmp_path: Path) -> None:
    said = await kiosk(ward_in(tmp_path, host="192.0.2.1", tls="on"))
    assert said.status == 2
    assert said.line.startswith("kiosk: desk.port = 0 at '192.0.2.1': cannot listen: ")


@pytest.mark.parametrize(("host", "told"), [("127.0.0.1", "localhost"), ("127.0.0.2", "127.0.0.2")])
async def test_the_desk_tells_an_address_at_which_it_can_be_reached(tmp_path: Path, host: str, told: str) -> None:
    desk = await ward_in(tmp_path, host=host).start_desk()
    async with httpx.AsyncClient(base_url=desk.url, trust_env=False, timeout=HANG_S) as http:
        answer = await http.get("/healthz")
    await desk.stop()
    assert desk.url.startswith(f"http://{told}:")
    assert answer.json()["ok"] is True


async def test_the_secret_key_is_made_at_first_start_and_kept_at_the_second(tmp_path: Path) -> None:
    ward = ward_in(tmp_path)
    path = tmp_path / "desk-data" / "secret_key"
    kept = []
    for _ in range(2):
        desk = await ward.start_desk()
        await desk.stop()
        kept.append(read_secret(path))
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert kept[0] == kept[1]
    assert len(kept[0]) == 64
    assert kept[0] not in (tmp_path / "desk.log").read_text()


async def test_the_desk_ends_in_good_order_when_told_to(tmp_path: Path) -> None:
    desk = await ward_in(tmp_path).start_desk()
    await desk.stop()
    assert desk.process.returncode is not None
    assert "Traceback" not in (tmp_path / "desk.log").read_text()


async def test_the_desk_may_open_as_many_connections_as_the_system_allows(tmp_path: Path) -> None:
    desk = await ward_in(tmp_path).start_desk()
    allowed, most = resource.prlimit(desk.process.pid, resource.RLIMIT_NOFILE)
    await desk.stop()
    assert allowed == most


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604])
async def test_a_secret_key_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    ward = ward_in(tmp_path)
    path = tmp_path / "desk-data" / "secret_key"
    ward.registry()
    path.chmod(mode)
    said = await kiosk(ward)
    assert said.status == 2
    assert said.line == f"kiosk: {path}: can be read by others; allowed is mode 0600: chmod 600 {path}"


async def test_an_empty_secret_key_is_refused_not_replaced(tmp_path: Path) -> None:
    ward = ward_in(tmp_path)
    path = tmp_path / "desk-data" / "secret_key"
    ward.registry()
    path.write_text("")
    said = await kiosk(ward, "usersig", "bed-1")
    assert (said.status, said.line) == (2, f"kiosk: {path}: is empty; it must hold the secret")
    assert path.read_text() == ""


async def test_a_data_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    ward = ward_in(tmp_path)
    (tmp_path / "desk-data").write_text("a file is in the way")
    said = await kiosk(ward)
    assert said.status == 2
    assert said.line.endswith("check desk.data")
    assert str(tmp_path / "desk-data") in said.line


async def test_the_operator_sets_a_passphrase_from_a_pipe(tmp_path: Path) -> None:
    ward = ward_in(tmp_path)
    said = await kiosk(ward, "passphrase", "nurse-1", stdin="correct horse battery\n")
    assert (said.status, said.out, said.error) == (0, "nurse-1 can sign in now\n", "")
    seat = ward.registry().check_passphrase("nurse-1", "correct horse battery", now=0.0)
    assert seat.user_id == "nurse-1"


@pytest.mark.parametrize(
    ("user_id", "typed", "words"),
    [
        ("nurse-1", "short", "the passphrase has 5 characters; at least 12"),
        ("nurse-1", "", "the passphrase has 0 characters; at least 12"),
        ("nurse-9", "correct horse battery", "seat 'nurse-9' is not among desk.seats: nurse-1, nurse-2"),
    ],
)
async def test_a_passphrase_that_is_not_taken_says_why(
    tmp_path: Path, user_id: str, typed: str, words: str
) -> None:
    said = await kiosk(ward_in(tmp_path), "passphrase", user_id, stdin=f"{typed}\n")
    assert (said.status, said.line) == (2, f"kiosk: {words}")


async def test_the_operator_gets_a_code_for_a_seat(tmp_path: Path) -> None:
    ward = ward_in(tmp_path)
    said = await kiosk(ward, "code", "nurse-1")
    assert said.status == 0
    assert said.out.startswith("http://localhost:")
    code = said.out.strip().partition("#code=")[2]
    assert ward.registry().use_code(code, now=int(time.time())).user_id == "nurse-1"
    assert (await kiosk(ward, "code", "bed-1")).line == (
        "kiosk: seat 'bed-1' is not among desk.seats: nurse-1, nurse-2"
    )


async def test_the_operator_gets_a_user_sig_for_a_bed(tmp_path: Path) -> None:
    ward = ward_in(tmp_path)
    said = await kiosk(ward, "usersig", "bed-1", "--days", "7")
    claims = usersig.verify(
        said.out.strip(),
        user_id="bed-1",
        sdk_app_id=ward.settings.desk.sdk_app_id,
        secret_key=read_secret(tmp_path / "desk-data" / "secret_key"),
        now=int(time.time()),
    )
    assert (said.status, said.error) == (0, "")
    assert claims.expires_at - claims.issued_at == 7 * 24 * 3600


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["usersig", "bed 1"], "user id 'bed 1' is not allowed: use 1 to 32 of A-Z a-z 0-9 _ -"),
        (["usersig", "bed-1", "--days", "0"], "--days = 0: allowed are 1 to 3650"),
        (["usersig", "bed-1", "--days", "-3"], "--days = -3: allowed are 1 to 3650"),
    ],
)
async def test_a_user_sig_that_cannot_be_made_says_why(tmp_path: Path, arguments: list[str], words: str) -> None:
    said = await kiosk(ward_in(tmp_path), *arguments)
    assert (said.status, said.out, said.line) == (2, "", f"kiosk: {words}")


async def test_a_code_made_while_the_desk_runs_opens_the_running_desk(tmp_path: Path) -> None:
    ward = ward_in(tmp_path)
    desk = await ward.start_desk()
    said = await kiosk(ward, "code", "nurse-1")
    code = said.out.strip().partition("#code=")[2]
    async with httpx.AsyncClient(base_url=desk.url, trust_env=False, timeout=HANG_S) as http:
        answer = await http.post("/api/sign-in", json={"code": code})
    await desk.stop()
    assert answer.json()["userID"] == "nurse-1"


async def test_all_secrets_lie_in_files_of_their_owner_only(tmp_path: Path) -> None:
    ward = ward_in(tmp_path)
    await kiosk(ward, "passphrase", "nurse-1", stdin="correct horse battery\n")
    await kiosk(ward, "code", "nurse-1")
    for name in SECRETS:
        path = tmp_path / "desk-data" / name
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert "correct horse" not in path.read_text()
