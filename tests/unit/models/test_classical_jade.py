"""JADE finds the sources of a mixture."""

import itertools

import numpy as np
import pytest
from scipy.signal import sawtooth

from physkit.models.classical.jade import jade


def sources() -> np.ndarray:
    t = np.linspace(0, 20, 3000)
    rng = np.random.default_rng(1)
    found = np.stack([np.sin(7 * t), sawtooth(11 * t), rng.laplace(size=t.size)])
    return (found - found.mean(axis=1, keepdims=True)) / found.std(axis=1, keepdims=True)


@pytest.mark.parametrize("seed", range(5))
def test_mixed_sources_come_back_but_for_order_and_sign(seed: int) -> None:
    true = sources()
    found = jade(np.random.default_rng(seed).normal(size=(3, 3)) @ true)
    match = np.abs(np.corrcoef(np.vstack([true, found]))[:3, 3:])
    best = max(sum(match[i, p[i]] for i in range(3)) for p in itertools.permutations(range(3)))
    assert best / 3 > 0.995


def test_sources_are_white() -> None:
    found = jade(np.random.default_rng(0).normal(size=(3, 3)) @ sources())
    np.testing.assert_allclose(found @ found.T / found.shape[1], np.eye(3), atol=1e-9)


def test_a_channel_that_repeats_another_adds_no_source() -> None:
    true = sources()[:2]
    assert jade(np.stack([true[0], true[1], true[0] + true[1]])).shape[0] == 2
