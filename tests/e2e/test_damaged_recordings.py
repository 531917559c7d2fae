"""Recordings with damaged pictures go through every command, which say so."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from clips import damage_packets

import physkit
from physkit.data.formats.truth import read_truth
from physkit.data.store import NO_SEGMENT
from physkit.synth.write import SynthConfig
from physkit.synth.write import run as synthesise

FPS, SECONDS = 20, 15
N = FPS * SECONDS


@pytest.fixture(scope="module")
def cohface(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One COHFACE recording; not to be written to."""
    root = tmp_path_factory.mktemp("cohface") / "raw"
    synthesise(
        SynthConfig(
            layout="cohface",
            out=str(root),
            subjects=1,
            seconds=SECONDS,
            seed=11,
            width=320,
            height=240,
        )
    )
    return root


@pytest.mark.slow
@pytest.mark.parametrize(
    ("damaged", "severity"),
    [(slice(-1, None), "note"), (slice(3 * FPS, 4 * FPS), "warning")],
    ids=["the last packet, as in every real file", "a second in the middle"],
)
def test_damaged_pictures_are_told_and_not_seen(
    cohface: Path, tmp_path: Path, damaged: slice, severity: str
) -> None:
    raw = shutil.copytree(cohface, tmp_path / "raw")
    damage_packets(raw / "1" / "0" / "data.avi", damaged)
    lost = np.arange(N)[damaged]

    audited = physkit.audit(raw, workers=1)
    told = {finding.check: finding for finding in audited.findings}
    assert told["damaged-frames"].severity == severity
    assert told["damaged-frames"].measured["n_damaged"] == len(lost)
    assert not {"video-unreadable", "frame-times", "dropped-frames"} & set(told)

    store = tmp_path / "store.zarr"
    prepared = physkit.prepare(dataset="cohface", raw=raw, out=store, engine="serial")
    assert prepared.failed == ()
    (recording,) = physkit.open_store(store).values()
    assert any("damaged" in text for text in prepared.warnings[recording.name])
    assert recording.n_frames == N
    assert np.flatnonzero(recording.segments == NO_SEGMENT).tolist() == lost.tolist()
    np.testing.assert_allclose(recording.timestamps_s, np.arange(N) / FPS, atol=1e-6)
    assert recording.attributes["n_damaged"] == len(lost)

    stored = physkit.audit(store, workers=1, quick=True)
    assert {"damaged-frames"} <= {finding.check for finding in stored.findings}

    result = physkit.evaluate_model(store, tmp_path / "o", model="pos", score={"window_s": 10})
    assert result.left_out == ()
    rates_bpm = np.array([window.heart_rate_bpm for window in result.score.windows])
    true_bpm = read_truth(raw, recording.name).heart_rate_bpm
    assert np.isfinite(rates_bpm).any()
    np.testing.assert_allclose(rates_bpm[np.isfinite(rates_bpm)], true_bpm, atol=2.0)

    read = physkit.predict(raw / "1" / "0" / "data.avi", model="pos")
    assert read.heart_rate_bpm == pytest.approx(true_bpm, abs=2.0)
    assert np.flatnonzero(np.isnan(read.pulse.samples)).tolist() == lost.tolist()
    assert read.face_coverage == pytest.approx(1 - len(lost) / N)
    assert any("damaged" in warning for warning in read.warnings)


@pytest.mark.slow
def test_live_and_crops_tell_of_damage_and_of_a_rate_in_vain(cohface: Path, tmp_path: Path) -> None:
    path = shutil.copyfile(cohface / "1" / "0" / "data.avi", tmp_path / "a.avi")
    damage_packets(path, slice(10, 12))
    read = physkit.predict(path, model="green", live=True, view="none", duration_s=1.0, fps=5.0)
    assert read.n_frames >= 10
    assert any("2 pictures are damaged" in warning for warning in read.warnings)
    assert any("5 Hz was given and is not used" in warning for warning in read.warnings)
    crops = tmp_path / "crops.npz"
    frames = np.random.default_rng(0).integers(0, 255, (60, 36, 36, 3)).astype(np.uint8)
    np.savez(crops, frames=frames, timestamps_s=np.arange(60) / 30)
    warnings = physkit.predict(crops, model="green", fps=25.0).warnings
    assert any("25 Hz was given and is not used" in warning for warning in warnings)
