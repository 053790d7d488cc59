"""The desk names STUN and TURN servers: to whom, with which credentials, and that they never run out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kiosk import settings
from kiosk.desk import turn_credentials
from kiosk.desk.server import DeskServer
from kiosk.errors import SettingsError
from kiosk.settings import write_secret
from kiosk.signaling import messages as wire
from tests.desks import BED, SEATS, RunningDesk, desk_running

TURN, STUN = "turn:10.1.2.3:3478?transport=tcp", "stun:10.1.2.3"


def with_turn(folder: Path) -> dict[str, Any]:
    write_secret(folder / "turn_secret", "north")
    return {"ice_servers": (STUN, TURN), "turn_secret_file": str(folder / "turn_secret")}


async def welcome(desk: RunningDesk, user_id: str) -> wire.LoginOk:
    peer = await desk.stranger()
    await peer.says(desk.login(user_id))
    return await peer.hears(wire.LoginOk)


@pytest.mark.parametrize("user_id", [BED, "nurse-1"])
async def test_bed_and_seat_are_told_the_servers_with_a_password_of_their_own(tmp_path: Path, user_id: str) -> None:
    async with desk_running(tmp_path, with_turn(tmp_path)) as desk:
        login = await welcome(desk, user_id)
    assert [server.urls for server in login.ice] == [STUN, TURN]
    assert login.ice[1].username.endswith(f":{user_id}")
    assert login.ice[1].credential


async def test_an_older_end_is_told_only_what_it_can_use(tmp_path: Path) -> None:
    async with desk_running(tmp_path, with_turn(tmp_path)) as desk:
        assert (await welcome(desk, BED)).ice_servers == (STUN,)


@pytest.mark.parametrize("user_id", [BED, "nurse-1"])
async def test_who_stays_connected_gets_new_passwords_in_time(
    tmp_path: Path, user_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turn_credentials, "RENEWED_AFTER", 1e-6)
    async with desk_running(tmp_path, with_turn(tmp_path)) as desk:
        peer = await desk.logs_in(user_id)
        for _ in range(2):
            renewed = await peer.hears(wire.IceServers)
            assert [server.urls for server in renewed.ice] == [STUN, TURN]
        assert renewed.ice[1].username.endswith(f":{user_id}")


async def test_a_desk_without_servers_names_none(tmp_path: Path) -> None:
    async with desk_running(tmp_path) as desk:
        login = await welcome(desk, BED)
    assert not login.ice
    assert not login.ice_servers


@pytest.mark.parametrize(
    ("mode", "words"), [(None, "there is no such file"), (0o644, "can be read by others; allowed is mode 0600")]
)
def test_a_secret_that_is_missing_or_open_to_others_is_refused(
    tmp_path: Path, mode: int | None, words: str
) -> None:
    made = settings.Desk(port=0, seats=SEATS, **with_turn(tmp_path))
    secret = Path(made.turn_secret_file)
    secret.unlink() if mode is None else secret.chmod(mode)
    with pytest.raises(SettingsError, match=words):
        DeskServer(made, tmp_path)


async def test_nothing_secret_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    async with desk_running(tmp_path, with_turn(tmp_path)) as desk:
        login = await welcome(desk, BED)
    for secret in ("north", login.ice[1].username, login.ice[1].credential):
        # The test's own client logs what it receives; the product's own (``signaling/client.py``) does not.
        own = [record.getMessage() for record in caplog.records if record.name != "websockets.client"]
        assert not [line for line in own if secret in line]
