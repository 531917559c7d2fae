"""Validation is a matter of recordings, in however many stretches they were seen."""

import numpy as np
import pytest

from physkit.evaluate.predictions import PredictedRecording
from physkit.train.validation import Part, validation_of

FPS = 30.0


def stretch(
    start_s: float, stop_s: float, *, bpm: float, true_bpm: float, loss: float, name: str = "a"
) -> Part:
    times_s = np.arange(start_s, stop_s, 1 / FPS)
    prediction, label = (np.sin(2 * np.pi * rate / 60 * times_s) for rate in (bpm, true_bpm))
    clip = PredictedRecording(name, "s", FPS, prediction, label, "waveform", times_s)
    return f"store/{name}", clip, loss


def test_recordings_count_alike_however_face_losses_cut_them() -> None:
    good = stretch(0, 60, bpm=70, true_bpm=70, loss=0.1)
    bad = stretch(0, 60, bpm=90, true_bpm=70, loss=0.9, name="b")
    pieces = [(0, 3), (4, 6.5), (7.5, 20), (21, 24), (25, 60)]
    cut = [stretch(a, b, bpm=90, true_bpm=70, loss=0.9, name="b") for a, b in pieces]
    whole = validation_of([good, bad], [], is_whole=True)
    assert whole.mae_bpm == pytest.approx(10, abs=0.2)
    assert whole.n_windows == 2
    in_pieces = validation_of([good, *reversed(cut), cut[0]], [], is_whole=True)
    assert in_pieces.mae_bpm == pytest.approx(whole.mae_bpm, abs=0.2)
    assert in_pieces.n_windows == 2


def test_the_loss_is_weighed_by_duration() -> None:
    parts = [
        stretch(0, 30, bpm=70, true_bpm=70, loss=0.2),
        stretch(40, 43, bpm=70, true_bpm=70, loss=1.3),
    ]
    assert validation_of(parts, [], is_whole=True).loss == pytest.approx((30 * 0.2 + 3 * 1.3) / 33)
    assert np.isnan(validation_of([], [], is_whole=True).loss)


def test_windows_of_a_given_length_stay_apart() -> None:
    parts = [
        stretch(0, 10, bpm=70, true_bpm=70, loss=0.0),
        stretch(10, 20, bpm=76, true_bpm=70, loss=0.0),
    ]
    found = validation_of(parts, [], is_whole=False)
    assert found.n_windows == 2
    assert found.mae_bpm == pytest.approx(3, abs=0.3)
