"""The network that is shipped: trained on synthetic people only, and it reads real ones."""

from pathlib import Path

import numpy as np
import pytest

import physkit
from physkit.core.types import Pulse
from physkit.synth.clip import ClipConfig, synthesise_clip
from physkit.synth.parameters import SynthParameters
from physkit.weights.file import read_weights
from physkit.weights.manifest import find_weights

NAME = "facephys-synthetic"
ALIGNED_S = 0.2
"""By so much one pulse may come later than the other."""


@pytest.fixture
def shipped() -> Path:
    path = find_weights(NAME)
    assert path is not None
    return path


def correlation(one: Pulse, other: Pulse, *, fps: float) -> float:
    """The largest of two pulses of the same frames, over shifts of up to `ALIGNED_S`."""
    most = round(ALIGNED_S * fps)
    n = len(one.samples) - most
    parts = [
        (one.samples[first : first + n], other.samples[second : second + n])
        for shift in range(most + 1)
        for first, second in ((shift, 0), (0, shift))
    ]
    return float(max(np.corrcoef(a, b)[0, 1] for a, b in parts))


def test_the_shipped_weights_say_what_they_were_made_from(shipped: Path) -> None:
    assert shipped.stat().st_size < 4e6
    card, _ = read_weights(shipped)
    assert (card.model, card.config["height"], card.config["width"]) == ("facephys", 36, 36)
    trained, begun = card.provenance, card.provenance["begun_with"]
    for record in (trained, begun):
        assert record["source"] == "physkit fit"
        assert record["commit"]
        assert record["config"]["seed"] == 0
        people = [set(record["data"][side][0]["subjects"]) for side in ("train", "validation")]
        assert not set.intersection(*people)
    assert begun["config"]["init_weights"] is None  # so nothing but synthetic people was ever seen


def test_the_shipped_weights_read_a_synthetic_face_that_no_one_trained_on(
    shipped: Path, tmp_path: Path
) -> None:
    parameters = SynthParameters().changed({"heart_rate_bpm": 96.0, "width": 320, "height": 240})
    clip = ClipConfig(duration_s=12.0, seed=7, quality=12, parameters=parameters)
    truth = synthesise_clip(tmp_path / "clip.mp4", config=clip)
    result = physkit.predict(truth.path, weights=shipped)
    assert result.heart_rate_bpm == pytest.approx(truth.heart_rate_bpm, abs=2.0)


@pytest.mark.slow
def test_the_shipped_weights_read_a_real_face_as_the_released_ones_do(
    shipped: Path, face_mp4: Path, released_weights: Path
) -> None:
    own, released = (
        physkit.predict(face_mp4, weights=path) for path in (shipped, released_weights)
    )
    assert own.heart_rate_bpm == pytest.approx(released.heart_rate_bpm, abs=3.0)
    assert correlation(own.pulse, released.pulse, fps=released.fps) >= 0.6
