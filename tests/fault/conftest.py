"""The desk most of these tests begin with."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.desks import RunningDesk, desk_running


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[RunningDesk]:
    async with desk_running(tmp_path / "desk-data") as running:
        yield running
