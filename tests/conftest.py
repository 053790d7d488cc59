"""Every test may name the requirements it proves: ``@pytest.mark.promise("R07")``.

hypothesis measures no time: a busy machine is no defect.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from kiosk.signaling import client
from tests.promises import Record

hypothesis.settings.register_profile("kiosk", deadline=None)
hypothesis.settings.load_profile("kiosk")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--promises", type=Path, metavar="FILE", help="write which promise's tests passed, as JSON")
    parser.addoption("--only-promises", action="store_true", help="run only tests that prove a promise")


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Record(config.getoption("--promises")), "promises")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--only-promises"):
        left_out = [item for item in items if item.get_closest_marker("promise") is None]
        items[:] = [item for item in items if item.get_closest_marker("promise") is not None]
        config.hook.pytest_deselected(items=left_out)


@pytest.fixture(autouse=True)
def no_bed_holds_back() -> Iterator[None]:
    """A test's bed is alone: it need not leave its desk to others first, as it does at a ward's power return."""
    with pytest.MonkeyPatch.context() as patch:  # its own: the test's is undone before what looks at its traces
        patch.setattr(client, "FIRST_TRY_WITHIN_S", 0.0)
        yield
