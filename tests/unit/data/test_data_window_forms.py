"""The forms are those of rPPG-Toolbox, and a window without any change has none."""

from collections.abc import Callable

import numpy as np
import pytest

from physkit.data.windows.forms import frames_in_form, label_in_form


@pytest.fixture
def frames() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (9, 5, 5, 3), dtype=np.uint8)


def test_raw_frames_lie_between_0_and_1(frames: np.ndarray) -> None:
    raw = frames_in_form(frames, "raw")
    assert raw.dtype == np.float32
    np.testing.assert_allclose(raw, frames / 255, rtol=1e-6)


def test_uint8_frames_are_those_stored_and_others_rounded(frames: np.ndarray) -> None:
    assert frames_in_form(frames, "uint8") is frames
    np.testing.assert_array_equal(frames_in_form(frames - np.float32(0.3), "uint8"), frames)


def test_standardised_frames_have_no_mean_and_unit_deviation(frames: np.ndarray) -> None:
    expected = (frames - frames.mean()) / frames.std()
    np.testing.assert_allclose(frames_in_form(frames, "standardised"), expected, atol=1e-5)


def test_differences_are_normalised_by_their_sum_and_their_deviation(frames: np.ndarray) -> None:
    grey = frames.astype(np.float64)
    change = (grey[1:] - grey[:-1]) / (grey[1:] + grey[:-1] + 1e-7)
    diff = frames_in_form(frames, "diff")
    np.testing.assert_allclose(diff[:-1], change / change.std(), atol=1e-5)
    assert not diff[-1].any()
    assert diff.shape == frames.shape


def test_brightness_does_not_change_differences(frames: np.ndarray) -> None:
    grey = frames.astype(np.float32) + 1
    bright, dark = (
        frames_in_form(gain * grey, "diff") for gain in (np.float32(0.9), np.float32(0.3))
    )
    np.testing.assert_allclose(bright, dark, atol=1e-4)


@pytest.mark.parametrize("form", ["standardised", "diff"])
@pytest.mark.parametrize("value", [0, 90])
def test_frames_without_change_are_zeros(form: str, value: int) -> None:
    still = np.full((6, 4, 4, 3), value, np.uint8)
    assert not frames_in_form(still, form).any()  # type: ignore[arg-type]
    assert not frames_in_form(still[:1], form).any()  # type: ignore[arg-type]


def test_labels_take_the_forms_of_their_frames() -> None:
    label = 500 + np.random.default_rng(0).normal(size=50)
    raw, standardised, diff = (label_in_form(label, f) for f in ("raw", "standardised", "diff"))
    np.testing.assert_allclose(raw, label, rtol=1e-6)
    np.testing.assert_allclose(standardised, (label - label.mean()) / label.std(), atol=1e-5)
    np.testing.assert_allclose(diff[:-1], np.diff(label) / np.diff(label).std(), atol=1e-5)
    assert diff[-1] == 0
    assert {x.dtype for x in (raw, standardised, diff)} == {np.dtype(np.float32)}


@pytest.mark.parametrize("form", ["standardised", "diff"])
@pytest.mark.parametrize(
    "make",
    [
        lambda: np.full(40, 0.1),
        lambda: np.full(40, 1e9) + 1e-3 * np.arange(40) % 2,
        lambda: np.ones(1),
    ],
)
def test_flat_labels_have_no_form(form: str, make: Callable[[], np.ndarray]) -> None:
    assert label_in_form(make(), form) is None  # type: ignore[arg-type]


def test_a_nearly_even_picture_is_still_standardised() -> None:
    grey = 200 + np.random.default_rng(0).normal(0, 0.3, (50, 36, 36, 3)).astype(np.float32)
    standardised = frames_in_form(grey, "standardised")
    assert standardised.mean(dtype=np.float64) == pytest.approx(0, abs=1e-4)
    assert standardised.std(dtype=np.float64) == pytest.approx(1, abs=1e-4)
