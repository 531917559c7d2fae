"""From synthetic recordings to a store and back, through every layout: nothing is lost or moved."""

from pathlib import Path

import numpy as np
import pytest
from scipy.interpolate import make_interp_spline

import physkit
from physkit.data.formats.truth import read_truth
from physkit.data.readers import READERS
from physkit.prepare.result import PrepareResult
from physkit.synth.write import SynthConfig
from physkit.synth.write import run as synthesise

SECONDS = 12.0
TOLERANCE = 1e-5
"""Of a pulse whose beats are about 1 high."""


@pytest.fixture(scope="module", params=list(READERS))
def prepared(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Path, PrepareResult]:
    """A raw tree of one clean recording, its store, and what preparing it gave."""
    folder = tmp_path_factory.mktemp(request.param)
    raw, out = folder / "raw", folder / "store.zarr"
    synthesise(
        SynthConfig(
            layout=request.param,
            out=str(raw),
            subjects=1,
            seconds=SECONDS,
            seed=11,
            width=320,
            height=240,
        )
    )
    return raw, out, physkit.prepare(dataset=request.param, raw=raw, out=out, engine="serial")


@pytest.mark.slow
def test_label_frames_and_conditions_in_the_store_are_the_truth(
    prepared: tuple[Path, Path, PrepareResult],
) -> None:
    raw, out, result = prepared
    assert result.failed == ()
    (recording,) = physkit.open_store(out).values()
    truth = read_truth(raw, recording.name)
    true_s = truth.pulse.timestamps_s
    assert recording.n_frames == len(true_s)
    np.testing.assert_allclose(recording.timestamps_s, true_s, atol=1e-6)
    label = recording.pulse
    inside = (true_s >= label.timestamps_s[0]) & (true_s <= label.timestamps_s[-1])
    assert inside.sum() >= len(true_s) - 1
    spline = make_interp_spline(label.timestamps_s, label.samples, k=5)
    error = np.abs(spline(true_s[inside]) - truth.pulse.samples[inside])
    # A spline has nothing to lean on beyond its ends.
    assert error[3:-3].max() < TOLERANCE
    assert truth.conditions.items() <= recording.conditions.items()


@pytest.mark.slow
def test_pos_reads_the_true_heart_rate_off_the_stored_crops(
    prepared: tuple[Path, Path, PrepareResult], tmp_path: Path
) -> None:
    raw, out, _ = prepared
    result = physkit.evaluate_model(out, tmp_path / "out", model="pos", score={"window_s": "inf"})
    (window,) = result.score.windows
    truth = read_truth(raw, window.recording)
    assert window.heart_rate_bpm == pytest.approx(truth.heart_rate_bpm, abs=2.0)
    assert window.label_heart_rate_bpm == pytest.approx(truth.heart_rate_bpm, abs=2.0)
