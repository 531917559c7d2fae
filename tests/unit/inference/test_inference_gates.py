"""Which signal quality a model's heart rate needs."""

from pathlib import Path

import numpy as np
import pytest

from physkit.core.types import Pulse
from physkit.inference.gates import GATES, OTHER, quality_gate
from physkit.models import CONFIGS, MODELS
from physkit.signal.reading import QualityGate, read_pulse
from physkit.weights.manifest import find_weights


def test_every_method_was_measured_and_known_weights_have_their_own_gate(
    assets: Path, tmp_path: Path
) -> None:
    assert set(MODELS.entries) - set(GATES) == set(CONFIGS) - {"facephys"}
    assert (
        quality_gate("facephys", assets / "facephys" / "FacePhys.weights.h5") == GATES["facephys"]
    )
    shipped = find_weights("facephys-synthetic")
    assert quality_gate("facephys", shipped) == GATES["facephys-synthetic"]
    (tmp_path / "own.safetensors").write_bytes(b"own")
    assert quality_gate("facephys", tmp_path / "own.safetensors") == GATES["facephys"]
    assert quality_gate("physnet", None) == OTHER


@pytest.mark.parametrize(("least", "steady", "is_read"), [(1.01, 0.3, True), (1.01, 1.01, False)])
def test_a_steady_rate_passes_at_a_lower_quality(least, steady, is_read: bool) -> None:
    t = np.arange(600) / 30
    x = np.sin(2 * np.pi * 1.2 * t) + 0.5 * np.random.default_rng(0).standard_normal(600)
    reading = read_pulse(Pulse(x, t), gate=QualityGate(least, steady))
    assert (reading.heart_rate_bpm is not None) == is_read
    assert is_read or "is under 1.01" in reading.warnings[0]


def test_a_rate_that_wanders_needs_the_higher_quality() -> None:
    t = np.arange(600) / 30
    band = np.fft.rfftfreq(600, 1 / 30)
    found = []
    for seed in range(30):
        spectrum = np.fft.rfft(np.random.default_rng(seed).standard_normal(600))
        x = np.fft.irfft(np.where((band > 0.6) & (band < 1.4), spectrum, 0), 600)
        readings = [read_pulse(Pulse(x, t), gate=gate) for gate in (None, GATES["facephys"])]
        found.append([reading.heart_rate_bpm is not None for reading in readings])
    assert np.sum(found, axis=0)[1] <= 3
    assert np.sum(found, axis=0)[1] < np.sum(found, axis=0)[0]
