"""One machine for all tests of this folder, its desk outside, and what they measure."""

from __future__ import annotations

import json
import shutil
import ssl
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from kiosk import settings
from tests.boot.machine import BUILT, Machine, switched_on
from tests.boot.nurse import NURSE, Nurse
from tests.desks import RunningDesk, desk_running

FIGURES = BUILT / "figures.json"
CONSOLE = BUILT / "console.log"
DESK = BUILT / "desk"
"""The key and the certificate of the desk that the bed's ticket and settings are for (``scripts/boot-disk``)."""


@pytest.fixture(scope="session")
def figures() -> Iterator[dict[str, float]]:
    """What is measured, in seconds, and written down."""
    measured: dict[str, float] = {}
    yield measured
    FIGURES.write_text(json.dumps({name: round(seconds, 1) for name, seconds in measured.items()}, indent=1) + "\n")


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def desk(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningDesk]:
    """A desk of its own, as in a hospital: when the bed's machine hangs, it goes on."""
    folder = tmp_path_factory.mktemp("desk")
    shutil.copytree(DESK, folder, dirs_exist_ok=True)
    changes = {"tls": "on", "seats": (settings.Seat(user_id=NURSE, name="Nurse Lin", groups=("ward-3",)),)}
    async with desk_running(folder, changes) as running:
        yield running


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def machine(tmp_path_factory: pytest.TempPathFactory, desk: RunningDesk) -> AsyncIterator[Machine]:
    """Switched on; the tests find it booted, and leave it so. Its console is kept in build/boot."""
    folder: Path = tmp_path_factory.mktemp("boot")
    try:
        async with switched_on(folder, desk_port=desk.port) as running:
            yield running
    finally:
        if (folder / CONSOLE.name).exists():
            shutil.copy(folder / CONSOLE.name, CONSOLE)


@pytest.fixture(scope="session")
def nurse(desk: RunningDesk) -> Nurse:
    """She looks at the board of the desk."""
    return Nurse(desk, ssl.create_default_context(cafile=DESK / "certificate.pem"))
