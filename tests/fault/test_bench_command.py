"""``kiosk bench``: the names it knows and what it refuses, in words."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from kiosk.bench import echo, playout
from kiosk.bench.network_traces import CLEAN
from kiosk.cli import EXIT_BUDGET, EXIT_ERROR, main
from kiosk.errors import MediaError
from kiosk.media.echo import NoEchoControl


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """A command sets what is logged; afterwards it is as it was."""
    logger = logging.getLogger("kiosk")
    before = logger.level
    yield
    logger.setLevel(before)


def test_the_benches_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["bench", "--help"])
    shown = capsys.readouterr().out
    assert "{call,faults,group,leaks,media,playout,video,echo}" in shown


@pytest.mark.parametrize("presses", ["0", "-3", "many", "1000001", "²"])
def test_a_number_of_presses_that_cannot_be_made_is_refused(
    presses: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["bench", "faults", f"--presses={presses}"])
    assert ended.value.code == EXIT_ERROR
    assert "allowed is 1 to 1000000" in capsys.readouterr().err


def test_playout_keeps_its_budgets_over_every_network_and_says_so_in_one_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["bench", "playout", "--quick"]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[-1] == ("bench playout: 8 networks of 3000 packets, every budget kept, aiortc beaten on each")
    assert not [line for line in shown if "MISSED" in line]


def test_a_missed_budget_is_told_by_its_exit_status(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(playout.MUST_MS, CLEAN, 1.0)
    assert main(["bench", "playout", "--quick"]) == EXIT_BUDGET
    ended = capsys.readouterr()
    assert "MISSED" in ended.out
    assert "missed: clean: p95" in ended.err


def test_echo_control_keeps_its_budgets_and_says_so_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("livekit.rtc.apm", reason="needs the extra echo")
    assert main(["bench", "echo", "--quick"]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("echo: ERLE ")


def test_without_echo_control_its_budgets_are_missed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(echo, "WebrtcEchoControl", NoEchoControl)
    assert main(["bench", "echo", "--quick"]) == EXIT_BUDGET
    assert "echo control misses its budget" in capsys.readouterr().err


def test_a_bench_of_an_echo_control_that_is_not_installed_is_refused_in_words(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing() -> None:
        raise MediaError("no echo control: No module named 'livekit' (the Python package livekit)")

    monkeypatch.setattr(echo, "WebrtcEchoControl", missing)
    assert main(["bench", "echo", "--quick"]) == EXIT_ERROR
    assert "the Python package livekit" in capsys.readouterr().err


@pytest.mark.parametrize("minutes", ["0", "601", "long", "1.5"])
def test_a_length_that_no_call_can_have_is_refused(minutes: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["bench", "leaks", f"--minutes={minutes}"])
    assert ended.value.code == EXIT_ERROR
    assert "allowed is 1 to 600" in capsys.readouterr().err


def test_only_the_leak_bench_has_a_call_whose_length_can_be_chosen(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "media", "--minutes", "5"]) == EXIT_ERROR
    assert "--minutes belongs to kiosk bench leaks" in capsys.readouterr().err


@pytest.mark.parametrize("option", [["--presses", "5"], ["--seed", "5"]])
def test_what_belongs_to_the_other_bench_is_said(option: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "call", *option]) == EXIT_ERROR
    assert "--presses and --seed belong to kiosk bench faults" in capsys.readouterr().err
