"""Which test proves which requirement: wrong marks are refused, and a claim without a passing test fails."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests import promises
from tests.boot import record as boot

pytest_plugins = ["pytester"]
ROOT = Path(__file__).parents[2]

MARKED = """
    import pytest

    @pytest.mark.promise("R07", "R01")
    @pytest.mark.parametrize("number", [1, 2])
    def test_some(number):
        assert number == 1

    @pytest.mark.promise("R09")
    def test_skipped():
        pytest.skip("not today")

    def test_unmarked():
        pass
"""


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """An empty project with our plug-in."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    pytester.makeconftest("from tests.conftest import *")
    pytester.makeini("[pytest]\nmarkers = promise(*ids)\naddopts = --strict-markers -p no:asyncio\n")
    return pytester


def record_of(project: pytest.Pytester, *options: str) -> dict[str, tuple[list[str], str]]:
    """What a run recorded: ids and outcome of each test."""
    project.runpytest_subprocess("--promises=build/record.json", *options)
    tests = json.loads((project.path / "build" / "record.json").read_text())
    return {node.partition("::")[2]: (test["promises"], test["outcome"]) for node, test in tests.items()}


def test_the_record_tells_what_came_of_each_marked_test(project: pytest.Pytester) -> None:
    project.makepyfile(MARKED)
    assert record_of(project) == {
        "test_some[1]": (["R01", "R07"], "passed"),
        "test_some[2]": (["R01", "R07"], "failed"),
        "test_skipped": (["R09"], "skipped"),
    }


def test_the_record_is_the_same_when_several_processes_share_the_tests(project: pytest.Pytester) -> None:
    project.makepyfile(MARKED)
    assert record_of(project, "-n2", "--maxfail=9") == record_of(project)


def test_a_test_that_took_its_process_with_it_proves_nothing(project: pytest.Pytester) -> None:
    project.makepyfile("""
        import os, pytest

        @pytest.mark.promise("R01")
        def test_falls_over():
            os._exit(1)

        @pytest.mark.promise("R09")
        def test_other():
            pass
    """)
    outcomes = record_of(project, "-n1")
    assert outcomes == {"test_falls_over": (["R01"], "failed"), "test_other": (["R09"], "passed")}


def test_only_marked_tests_run_when_that_is_asked_for(project: pytest.Pytester) -> None:
    project.makepyfile(MARKED)
    project.runpytest_subprocess("--only-promises").assert_outcomes(passed=1, failed=1, skipped=1, deselected=1)


def test_a_failing_teardown_proves_nothing(project: pytest.Pytester) -> None:
    project.makepyfile("""
        import pytest

        @pytest.fixture
        def falls_over():
            yield
            raise RuntimeError

        @pytest.mark.promise("R01")
        def test_it(falls_over):
            pass
    """)
    assert record_of(project) == {"test_it": (["R01"], "failed")}


@pytest.mark.parametrize("mark", ['"R26"', '"R01", "r07"', "", 'id="R01"'])
def test_a_mark_that_names_no_requirement_is_refused_at_collection(project: pytest.Pytester, mark: str) -> None:
    project.makepyfile(f"import pytest\n\n@pytest.mark.promise({mark})\ndef test_it():\n    pass\n")
    ended = project.runpytest_subprocess()
    assert ended.ret is pytest.ExitCode.USAGE_ERROR
    ended.stderr.fnmatch_lines(["*test_it: promise: *allowed are those of tests/promises.toml*"])


def test_there_are_25_requirements_and_open_ones_say_what_is_missing() -> None:
    known = promises.known()
    assert list(known) == [f"R{number:02}" for number in range(1, 26)]
    for promise in known.values():
        assert set(promise) - {"bench"} == {"words", "state"} | ({"later"} if promise["state"] == "open" else set())
        assert promise["state"] in ("claimed", "open")
        assert all(promise.values())


def table(record: Path, boot: Path | None = None) -> subprocess.CompletedProcess[str]:
    """What scripts/promises prints of *record*, and of what scripts/test-boot left in *boot*."""
    left = boot or record.with_name("never.json")
    command = [sys.executable, str(ROOT / "scripts" / "promises"), "--record", str(record), "--boot", str(left)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def write(record: Path, outcome: str, *, without: str = "") -> Path:
    """A record in which every claimed requirement but *without* has a test, with *outcome*."""
    claimed = [name for name, promise in promises.known().items() if promise["state"] == "claimed"]
    tests = {
        f"tests/test_{name}.py::test_it": {
            "promises": [name],
            "outcome": outcome if name == claimed[0] else "passed",
        }
        for name in claimed
        if name != without
    }
    record.write_text(json.dumps(tests))
    return record


def test_a_table_of_proven_and_open_requirements(tmp_path: Path) -> None:
    printed = table(write(tmp_path / "record.json", "passed"))
    assert printed.returncode == 0
    assert "✔ R01 proven" in printed.stdout
    assert "passed: tests/test_R01.py::test_it" in printed.stdout
    assert "· R12 open" in printed.stdout
    assert "later: updates of the image" in printed.stdout
    assert "bench: the p95 and the 100 ms" in printed.stdout


@pytest.mark.parametrize("outcome", ["failed", "skipped", "not run"])
def test_a_claim_whose_test_did_not_pass_fails(tmp_path: Path, outcome: str) -> None:
    printed = table(write(tmp_path / "record.json", outcome))
    assert printed.returncode == 1
    assert "✘ R01 NOT PROVEN" in printed.stdout
    assert "CLAIMED AND NOT PROVEN: R01" in printed.stdout


def test_a_claim_without_any_test_fails(tmp_path: Path) -> None:
    printed = table(write(tmp_path / "record.json", "passed", without="R09"))
    assert printed.returncode == 1
    assert "CLAIMED AND NOT PROVEN: R09" in printed.stdout


def test_a_damaged_record_is_said(tmp_path: Path) -> None:
    (tmp_path / "record.json").write_text("{")
    printed = table(tmp_path / "record.json")
    assert printed.returncode == 2
    assert "record.json: cannot be read" in printed.stderr


def boot_record(path: Path, *, of: str, outcome: str = "passed") -> Path:
    """What scripts/test-boot leaves: one test for R01."""
    tests = {"tests/boot/test_it.py::test_it": {"promises": ["R01"], "outcome": outcome}}
    path.write_text(json.dumps({"date": "2026-03-01", "of": of, "tests": tests, "seconds": {}}))
    return path


def test_the_last_run_on_a_booted_system_counts_with_its_date(tmp_path: Path) -> None:
    printed = table(write(tmp_path / "r.json", "passed"), boot_record(tmp_path / "b.json", of=boot.digest()))
    assert printed.returncode == 0
    assert "as scripts/test-boot left them, 2026-03-01" in printed.stdout
    assert "passed: tests/boot/test_it.py::test_it" in printed.stdout


@pytest.mark.parametrize(("of", "outcome"), [("other units", "passed"), (boot.digest(), "failed")])
def test_a_run_that_failed_or_was_on_other_units_proves_nothing(tmp_path: Path, of: str, outcome: str) -> None:
    left = boot_record(tmp_path / "b.json", of=of, outcome=outcome)
    printed = table(write(tmp_path / "r.json", "passed"), left)
    assert printed.returncode == 1
    assert "CLAIMED AND NOT PROVEN: R01" in printed.stdout
