"""Ties tests to the requirements of ``promises.toml``: checks the ids of their marks, records what came of them.

``scripts/promises`` prints the table. The record is a JSON object: each test with a mark, its ids and its outcome.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

PROMISES = Path(__file__).parent / "promises.toml"


def known() -> dict[str, dict[str, str]]:
    """The requirements by id."""
    return tomllib.loads(PROMISES.read_text(encoding="utf-8"))


def ids_of(item: pytest.Item) -> list[str]:
    """What *item* is marked to prove. Raises :exc:`pytest.UsageError` for a mark that names nothing known."""
    ids: list[str] = []
    for mark in item.iter_markers("promise"):
        wrong = [given for given in mark.args if given not in known()]
        if wrong or mark.kwargs or not mark.args:
            what = f"no such id: {', '.join(map(repr, wrong))}" if wrong else "give one or more ids"
            raise pytest.UsageError(f"{item.nodeid}: promise: {what} (allowed are those of tests/promises.toml)")
        ids += mark.args
    return sorted(set(ids))


class Record:
    """A plug-in that writes the record to *path*; without one it only checks the marks."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._tests: dict[str, dict[str, Any]] = {}

    def pytest_collection_modifyitems(self, items: Iterable[pytest.Item]) -> None:
        """Note which test proves what."""
        for item in items:
            ids = ids_of(item)
            if ids:
                self._tests[item.nodeid] = {"promises": ids, "outcome": "not run"}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A test has passed when its call did and nothing before or after it failed."""
        test = self._tests.get(report.nodeid)
        if test is None:
            return
        if report.failed:
            test["outcome"] = "failed"
        elif report.skipped:
            test["outcome"] = "skipped"
        elif report.when == "call" and test["outcome"] == "not run":
            test["outcome"] = "passed"

    def pytest_sessionfinish(self) -> None:
        """Write it."""
        if self._path is not None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.write_text(json.dumps(self._tests, indent=1), encoding="utf-8")
