"""Whatever arrives, both ends bear it: a short form of scripts/fuzz."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kiosk.signaling import codec
from tests.fault import fuzzing
from tests.fault.fuzzing import live_through


@pytest.mark.promise("R24")
@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**64 - 1))
def test_both_ends_bear_whatever_arrives(seed: int) -> None:
    live_through(random.Random(seed))


@settings(max_examples=40, deadline=None)
@given(chance=st.randoms(use_true_random=False))
def test_both_ends_bear_a_few_odd_messages(chance: random.Random) -> None:
    """Each choice is hypothesis's own, so that a failure is made small."""
    live_through(chance, inputs=4)


def test_many_inputs_are_messages_and_many_are_not() -> None:
    """Otherwise only the parsers, or only the machines, would be tried."""
    messages = sum(live_through(random.Random(seed)) for seed in range(20))
    assert 0.2 < messages / (20 * fuzzing.INPUTS_PER_HISTORY) < 0.8


def test_a_parser_that_lets_an_error_through_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def careless(decoder: object, raw: bytes) -> None:
        raise ValueError("not a message")

    monkeypatch.setattr(codec, "decode_json", careless)
    with pytest.raises(ValueError, match="not a message"):
        live_through(random.Random(1))


def test_the_long_form_tells_how_much_was_borne() -> None:
    script = Path(__file__).parents[2] / "scripts" / "fuzz"
    ended = subprocess.run([sys.executable, str(script), "500"], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith("500 inputs in 5 histories, ")
    assert ended.stdout.endswith("all borne\n")
