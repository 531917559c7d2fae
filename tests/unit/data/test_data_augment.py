"""Augmentation moves what it says, by what it says, and the same throughout a window."""

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.ndimage import map_coordinates
from stores import add_recording
from window_stores import numbers, sine, write_recording, write_steady

from physkit.core.errors import InputError
from physkit.data.windows.augment import Look, apply_look, draw_look, time_scale
from physkit.data.windows.config import (
    AugmentConfig,
    ContentConfig,
    FrameClock,
    FrameForm,
    RandomWindowsConfig,
    SlidingWindowsConfig,
    TimeScaleConfig,
    WindowSource,
)
from physkit.data.windows.sampling import RandomWindows, SlidingWindows

STILL = Look(flipped=False, gains=(1.0, 1.0, 1.0), left=0.0, top=0.0, side=1.0)
ALWAYS = AugmentConfig(time_scale=TimeScaleConfig(share=1.0))
UNSEEN = AugmentConfig(
    time_scale=TimeScaleConfig(share=1.0), flip=0, brightness=0, colour_temperature=0, crop=0
)


def windows_of(store: Path, augment: AugmentConfig | None, **options: object) -> RandomWindows:
    content = options.pop("content", ContentConfig(label_form="raw"))
    config = RandomWindowsConfig(
        n_frames=150, windows_per_epoch=40, content=content, augment=augment, **options
    )
    return RandomWindows([WindowSource(str(store))], config)


@pytest.fixture(scope="module")
def steady(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A minute at 72 bpm."""
    store = tmp_path_factory.mktemp("augment") / "steady.zarr"
    write_steady(store, n_frames=1800, bpm=72.0)
    return store


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    """Four smooth frames of 20 x 20."""
    y, x = np.mgrid[0:20, 0:20] / 20
    channels = [60 + 100 * x * y, 90 + 40 * np.sin(5 * x), 120 - 50 * y]
    return np.stack([np.stack(channels, axis=-1)] * 4).astype(np.float32)


@pytest.mark.parametrize(("clock", "fps"), [("native", None), ("linear", 25.0), ("nearest", 25.0)])
def test_time_scaling_moves_rate_label_and_frames_together(
    clock: FrameClock, fps: float | None, steady: Path
) -> None:
    content = ContentConfig(clock=clock, fps=fps, label_form="raw")
    for window in windows_of(steady, UNSEEN, content=content):
        factor = window.time_scale
        assert factor != 1
        since_s = window.timestamps_s - window.start_s
        np.testing.assert_allclose(since_s, np.arange(150) / (fps or 30), atol=1e-9)
        np.testing.assert_allclose(window.dt_s, 1 / (fps or 30), rtol=1e-5)
        shown_s = window.start_s + factor * since_s
        np.testing.assert_allclose(numbers(window.frames * 255), 30 * shown_s, atol=1.01)
        between = np.abs(numbers(window.frames * 255) - 30 * shown_s) < 2e-3
        assert between.mean() > 0.95  # the others lie where the numbers' red starts anew
        np.testing.assert_allclose(window.pulse, sine(72)(shown_s), atol=2e-3)
        assert window.heart_rate_bpm == pytest.approx(72 * factor, rel=0.02)


def test_scaled_heart_rates_cover_the_range_evenly(tmp_path: Path) -> None:
    for number, bpm in enumerate((60.0, 72.0, 90.0)):
        write_steady(tmp_path / "a.zarr", f"s{number}_1", n_frames=1200, bpm=bpm)
    windows = windows_of(tmp_path / "a.zarr", UNSEEN)
    rates = np.array([windows[index].heart_rate_bpm for index in range(240)])
    assert rates.min() > 22
    assert rates.max() < 183
    counts, _ = np.histogram(rates, bins=[30, 60, 90, 120, 150, 180])
    assert counts.min() > 15


@pytest.mark.parametrize("form", ["raw", "diff"])
def test_augmented_frames_beat_with_their_label(form: FrameForm, tmp_path: Path) -> None:
    store = tmp_path / "a.zarr"
    add_recording(store, "s1_1", subject="s1", rate_bpm=80.0, n_frames=900)
    windows = windows_of(store, ALWAYS, content=ContentConfig(form=form))
    for index in range(10):
        window = windows[index]
        blood = -window.frames[:-1, :, :, 1].mean(axis=(1, 2))  # blood darkens the skin
        assert np.corrcoef(blood, window.pulse[:-1])[0, 1] > 0.9
        assert window.heart_rate_bpm == pytest.approx(80 * window.time_scale, rel=0.02)


@given(
    bpm=st.floats(20, 250),
    longest=st.floats(1, 10),
    place=st.floats(0, 1, exclude_max=True),
    max_factor=st.floats(1, 6),
)
def test_a_scaled_rate_stays_within_every_limit(
    bpm: float, longest: float, place: float, max_factor: float
) -> None:
    config = TimeScaleConfig(max_factor=max_factor)
    factor = time_scale(config, heart_rate_bpm=bpm, longest=longest, place=place)
    assume(factor != 1)
    slack = 1 + 1e-9
    assert 30 / slack <= factor * bpm <= 180 * slack
    assert 1 / max_factor / slack <= factor <= min(max_factor, longest) * slack


def test_the_place_in_the_range_is_even() -> None:
    rates = [
        70 * time_scale(TimeScaleConfig(), heart_rate_bpm=70, longest=9, place=place)
        for place in (0.0, 0.25, 0.5, 0.75)
    ]
    np.testing.assert_allclose(np.diff(rates), (175 - 30) / 4)


@pytest.mark.parametrize("bpm", [float("nan"), 500.0, 5.0])
def test_windows_without_a_usable_rate_are_not_scaled(bpm: float) -> None:
    assert time_scale(TimeScaleConfig(), heart_rate_bpm=bpm, longest=2, place=0.5) == 1


def test_a_share_of_the_windows_is_scaled(steady: Path) -> None:
    windows = windows_of(steady, AugmentConfig())
    scaled = [windows[index].time_scale != 1 for index in range(300)]
    assert abs(np.mean(scaled) - 0.3 / 1.3) < 4 * np.sqrt(0.23 * 0.77 / 300)


def test_windows_that_fill_their_recording_are_only_slowed_down(tmp_path: Path) -> None:
    write_steady(tmp_path / "a.zarr", n_frames=155)
    factors = [window.time_scale for window in windows_of(tmp_path / "a.zarr", UNSEEN)]
    assert max(factors) <= 154 / 149 + 1e-9
    assert min(factors) < 0.6


def test_a_dial_leaves_the_other_draws_as_they_are(steady: Path) -> None:
    plain = [window.start_s for window in windows_of(steady, None)]
    unscaled = replace(ALWAYS, time_scale=TimeScaleConfig(share=0.0))
    assert [window.start_s for window in windows_of(steady, unscaled)] == plain
    looks = []
    for config in (AugmentConfig(), replace(AugmentConfig(), flip=0.0)):
        looks.append([draw_look(np.random.default_rng(seed), config) for seed in range(20)])
    assert {look.flipped for look in looks[0]} == {False, True}
    assert looks[1] == [replace(look, flipped=False) for look in looks[0]]


def test_nothing_changes_within_a_window(picture: np.ndarray) -> None:
    frames = picture.astype(np.uint8)
    for seed in range(20):
        look = draw_look(np.random.default_rng(seed), AugmentConfig())
        shown = apply_look(frames, look)
        assert not np.array_equal(shown, frames)
        assert (shown == shown[:1]).all()


def test_a_flip_mirrors_left_to_right(picture: np.ndarray) -> None:
    mirrored = apply_look(picture, replace(STILL, flipped=True))
    np.testing.assert_array_equal(mirrored, picture[:, :, ::-1])


@pytest.mark.parametrize("flipped", [False, True])
def test_a_crop_is_enlarged_between_pixels(flipped: bool, picture: np.ndarray) -> None:
    look = replace(STILL, left=0.07, top=0.03, side=0.9, flipped=flipped)
    shown = apply_look(picture, look)
    rows = 20 * 0.03 + (np.arange(20) + 0.5) * 0.9 - 0.5
    columns = 20 * 0.07 + (np.arange(20) + 0.5) * 0.9 - 0.5
    grid = np.meshgrid(rows, columns[::-1] if flipped else columns, indexing="ij")
    for channel in range(3):
        expected = map_coordinates(picture[0, :, :, channel], grid, order=1, mode="nearest")
        # OpenCV places pixels to a 32nd
        np.testing.assert_allclose(shown[0, :, :, channel], expected, atol=0.5)


@given(seed=st.integers(0, 10**6), crop=st.floats(0, 0.5))
def test_a_crop_stays_within_the_picture(seed: int, crop: float) -> None:
    look = draw_look(np.random.default_rng(seed), AugmentConfig(crop=crop))
    assert 1 - crop <= look.side <= 1
    assert 0 <= look.left <= 1 - look.side + 1e-9
    assert 0 <= look.top <= 1 - look.side + 1e-9


def test_gains_keep_the_relative_strength_of_a_pulse(picture: np.ndarray) -> None:
    beat = np.array([1.0, 1.01, 1.0, 0.99], np.float32)[:, None, None, None]
    shown = apply_look(picture * beat, replace(STILL, gains=(1.2, 1.0, 0.8)))
    np.testing.assert_allclose(shown, picture * beat * [1.2, 1.0, 0.8], rtol=1e-6)
    np.testing.assert_allclose(shown[1] / shown[0], 1.01, rtol=1e-5)


def test_what_exceeds_white_is_clipped(picture: np.ndarray) -> None:
    assert apply_look(picture, replace(STILL, gains=(9.0, 9.0, 9.0))).max() == 255


def test_brightness_and_colour_temperature_stay_within_their_dials() -> None:
    config = AugmentConfig(brightness=0.2, colour_temperature=0.1)
    gains = np.log([draw_look(np.random.default_rng(seed), config).gains for seed in range(300)])
    assert np.abs(gains[:, 1]).max() == pytest.approx(0.2, abs=0.01)
    np.testing.assert_allclose(gains[:, 0] - gains[:, 1], gains[:, 1] - gains[:, 2], atol=1e-12)
    assert np.abs(gains[:, 0] - gains[:, 1]).max() == pytest.approx(0.1, abs=0.01)


def test_augmented_windows_stay_in_their_form(steady: Path) -> None:
    for form, dtype in (("raw", np.float32), ("uint8", np.uint8)):
        window = windows_of(steady, ALWAYS, content=ContentConfig(form=form))[0]
        assert window.frames.dtype == dtype
        assert window.frames.shape == (150, 4, 4, 3)
        assert window.frames.max() <= (1 if form == "raw" else 255)
        assert window.pulse.std() == pytest.approx(1, abs=1e-5)


def test_what_follows_a_face_that_goes_away_is_never_mixed_in(tmp_path: Path) -> None:
    times_s = np.arange(600) / 30
    frames = np.full((600, 4, 4, 3), 100, np.uint8)
    write_recording(
        tmp_path / "a.zarr",
        frames=frames,
        times_s=times_s,
        label=sine(72)(times_s),
        label_times_s=times_s,
        segments=np.where(times_s < 8, 0, -1),  # black from there on
    )
    for window in windows_of(tmp_path / "a.zarr", UNSEEN):
        np.testing.assert_allclose(window.frames, 100 / 255, rtol=1e-6)
    late = SlidingWindowsConfig(content=ContentConfig(clock="linear", fps=30.06))
    (window,) = SlidingWindows([WindowSource(str(tmp_path / "a.zarr"))], late)
    assert window.timestamps_s[-1] > times_s[239] + 0.015
    np.testing.assert_allclose(window.frames, 100 / 255, rtol=1e-6)


@pytest.mark.parametrize("name", [field.name for field in fields(AugmentConfig)][1:])
@pytest.mark.parametrize("value", [-0.1, 1.5, float("nan")])
def test_dials_out_of_range_are_refused(name: str, value: float) -> None:
    with pytest.raises(InputError, match=name):
        AugmentConfig(**{name: value})


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"share": 1.1}, "share is 1.1"),
        ({"low_bpm": 200.0}, "no range"),
        ({"low_bpm": float("nan")}, "no range"),
        ({"high_bpm": float("inf")}, "no range"),
        ({"max_factor": 0.5}, "max_factor is 0.5"),
        ({"max_factor": float("nan")}, "max_factor is nan"),
    ],
)
def test_impossible_time_scales_are_refused(options: dict[str, float], problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        TimeScaleConfig(**options)
