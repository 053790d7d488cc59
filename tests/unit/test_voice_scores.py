"""The instruments tell a clear voice from a bad one, and nothing at all is as bad as can be."""

from __future__ import annotations

import numpy as np
import pytest

from kiosk.bench.alignment import RATE, Pair, Samples
from kiosk.bench.voice_scores import WORST_PESQ, scores
from kiosk.hardware.microphone import SampleMicrophone


@pytest.fixture(scope="module")
def said() -> Samples:
    """Somebody speaks for six seconds."""
    return SampleMicrophone().sound[: 6 * RATE].astype(np.float64)


def noisy(said: Samples, level: float) -> Samples:
    return said + np.random.default_rng(1).normal(0, level, len(said))


def test_what_is_heard_as_it_was_said_is_perfect(said: Samples) -> None:
    perfect = scores(Pair(said, said))
    assert perfect.stoi == pytest.approx(1.0)
    assert perfect.pesq == pytest.approx(4.64, abs=0.01)


def test_the_noisier_the_worse(said: Samples) -> None:
    little, much = scores(Pair(said, noisy(said, 100))), scores(Pair(said, noisy(said, 3000)))
    assert 1.0 > little.stoi > much.stoi > 0.0
    assert 4.6 > little.pesq > much.pesq >= WORST_PESQ


def test_nothing_heard_is_as_bad_as_can_be(said: Samples) -> None:
    nothing = scores(Pair(said, np.zeros_like(said)))
    assert nothing.stoi == pytest.approx(0.0, abs=0.01)
    assert nothing.pesq == WORST_PESQ


def test_the_mean_is_of_the_spans_in_which_somebody_speaks(said: Samples) -> None:
    quiet = np.zeros(3 * RATE)
    half = Pair(np.concatenate([said[: 3 * RATE], quiet]), np.concatenate([said[: 3 * RATE], quiet]))
    assert scores(half).pesq == pytest.approx(4.64, abs=0.01)
    spoilt = scores(Pair(said, np.concatenate([said[: 3 * RATE], noisy(said, 3000)[3 * RATE :]])))
    assert scores(Pair(said, noisy(said, 3000))).pesq < spoilt.pesq < 4.64


def test_where_nobody_speaks_there_is_nothing_to_judge() -> None:
    with pytest.raises(ValueError, match="nobody speaks for 3 s"):
        scores(Pair(np.zeros(6 * RATE), np.zeros(6 * RATE)))
