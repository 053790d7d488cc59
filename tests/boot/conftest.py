"""One machine for all tests of this folder, and what they measure."""

from __future__ import annotations

import json
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.boot.machine import BUILT, Machine, switched_on
from tests.boot.nurse import Nurse

FIGURES = BUILT / "figures.json"
CONSOLE = BUILT / "console.log"


@pytest.fixture(scope="session")
def figures() -> Iterator[dict[str, float]]:
    """What is measured, in seconds. It is written down, and judged by whoever reads it: no test fails by it."""
    measured: dict[str, float] = {}
    yield measured
    FIGURES.write_text(json.dumps({name: round(seconds, 1) for name, seconds in measured.items()}, indent=1) + "\n")


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def machine(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Machine]:
    """Switched on; the tests find it booted, and leave it so. Its console is kept in build/boot."""
    folder: Path = tmp_path_factory.mktemp("boot")
    try:
        async with switched_on(folder) as running:
            yield running
    finally:
        if (folder / CONSOLE.name).exists():
            shutil.copy(folder / CONSOLE.name, CONSOLE)


@pytest.fixture(scope="session")
def nurse(machine: Machine) -> Nurse:
    """She looks at the board of the desk in the machine."""
    return Nurse(machine.port, BUILT / "nurse_sig")
