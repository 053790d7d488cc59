"""What WIRE.md promises a stranger is true: its examples are messages of the wire, and its seat client works."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest

from kiosk import settings
from kiosk.desk.registry import Registry
from kiosk.desk.server import DeskServer
from kiosk.signaling import codec, schema
from kiosk.signaling import messages as wire
from tests.waiting import HANG_S

FOLDER = Path(schema.__file__).parent
PAGE = (FOLDER / "WIRE.md").read_text()
DIRECTIONS = {
    "kiosk → desk": wire.FromKiosk,
    "desk → kiosk": wire.ToKiosk,
    "seat → desk": wire.FromSeat,
    "desk → seat": wire.ToSeat,
}
EXAMPLES = re.findall(r"```json (.+?)\n(.+?)```", PAGE, re.DOTALL)


WITH_PARTS = ("ice_servers", "snapshot", "request", "incoming_call", "board", "beds", "calling", "seats", "members")
"""Whose parts have defaults that an example may leave out."""


@pytest.mark.parametrize(("direction", "example"), EXAMPLES)
def test_each_example_is_a_message_of_its_direction(direction: str, example: str) -> None:
    message = codec.Decoder(DIRECTIONS[direction]).decode(example)
    known = msgspec.to_builtins(message)
    given = msgspec.json.decode(example)
    assert given.items() <= known.items() or given["type"] in WITH_PARTS
    assert set(given) <= set(known), "a field the struct does not have would be ignored"


def test_every_message_a_seat_client_needs_is_shown() -> None:
    shown = {(direction, msgspec.json.decode(example)["type"]) for direction, example in EXAMPLES}
    for direction in ("seat → desk", "desk → seat"):
        for kind in DIRECTIONS[direction].__args__:
            tag = kind.__struct_config__.tag
            assert (direction, tag) in shown or f"`{tag}`" in PAGE, f"{tag} is not told"


def test_every_reason_and_state_is_told() -> None:
    for word in (*wire.EndReason, *wire.SeatState):
        assert f"`{word.value}`" in PAGE


def test_the_generated_documents_are_up_to_date() -> None:
    script = Path(__file__).parents[2] / "scripts" / "documents"
    checked = subprocess.run(
        [sys.executable, str(script), "--check"], capture_output=True, text=True, timeout=HANG_S, check=False
    )
    assert (checked.returncode, checked.stderr) == (0, "")


async def test_the_seat_client_of_the_page_works(tmp_path: Path) -> None:
    (client,) = re.findall(r"```python\n(.+?)```", PAGE, re.DOTALL)
    made = settings.Desk(port=0, seats=(settings.Seat(user_id="nurse-1"),))
    registry = Registry(made, tmp_path)
    code = registry.make_code("nurse-1", now=int(time.time()))
    desk = DeskServer(made, tmp_path)
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(desk.run(ready.set_result))
    url = await asyncio.wait_for(ready, HANG_S)
    seat = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", client, url, code), stdout=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(HANG_S):
            await _a_bed_calls(url, registry)
            output, _ = await seat.communicate()
    finally:
        if seat.returncode is None:
            seat.kill()
        desk.stop()
        await asyncio.wait_for(serving, HANG_S)
    assert output.decode().splitlines() == ["call from Ward 3 301 2", "ended: rejected"]
    assert seat.returncode == 0


async def _a_bed_calls(url: str, registry: Registry) -> None:
    """A kiosk as the page's section about it describes one."""
    from websockets.asyncio.client import connect

    user_sig = registry.issue("bed-1", now=int(time.time()))
    async with connect(url.replace("http", "ws", 1) + "ws", proxy=None) as socket:
        login = {"type": "login", "user_id": "bed-1", "sdk_app_id": 1400000000, "user_sig": user_sig}
        place = {"group": "ward", "ward": "Ward 3", "room": "301", "bed": "2"}
        request = {"request_id": "r1", "age": 0}
        for message in (login, {"type": "snapshot", "bed": place, "request": request}):
            await socket.send(msgspec.json.encode(message).decode())
        async for text in socket:
            message = msgspec.json.decode(text)
            if message["type"] == "allocated":
                invite = {"type": "invite", "call_id": message["call_id"], "fence": message["fence"]}
                await socket.send(msgspec.json.encode(invite | {"call_type": 1, "sdp": "v=0"}).decode())
            if message["type"] == "call_ended":
                return
