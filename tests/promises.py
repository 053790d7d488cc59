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
    """A plug-in that writes the record to *path*; without one it only checks the marks.

    With pytest-xdist the tests are collected by each worker and their outcomes come to the controller: a worker
    hands over what proves what when it ends, and one that dies leaves that to the others."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._promises: dict[str, list[str]] = {}
        self._outcomes: dict[str, str] = {}

    def pytest_collection_modifyitems(self, items: Iterable[pytest.Item]) -> None:
        """Note which test proves what."""
        for item in items:
            ids = ids_of(item)
            if ids:
                self._promises[item.nodeid] = ids

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A test has passed when its call did and nothing before or after it failed."""
        if report.failed:
            self._outcomes[report.nodeid] = "failed"
        elif report.skipped:
            self._outcomes[report.nodeid] = "skipped"
        elif report.when == "call":
            self._outcomes.setdefault(report.nodeid, "passed")

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """A worker has ended (xdist)."""
        self._promises.update(getattr(node, "workeroutput", {}).get("promises", {}))

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Write it, or hand it over."""
        if hasattr(session.config, "workeroutput"):
            session.config.workeroutput["promises"] = self._promises
        elif self._path is not None:
            tests = {
                test: {"promises": ids, "outcome": self._outcomes.get(test, "not run")}
                for test, ids in self._promises.items()
            }
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.write_text(json.dumps(tests, indent=1), encoding="utf-8")
