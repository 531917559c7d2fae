"""AVI files: what is written is what is read, gaps included, and nothing half-written stays."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from physkit.core.errors import InputError
from physkit.data.formats.avi import PIXELS, n_pictures, write_avi
from physkit.media.frames import Frame
from physkit.media.video import VideoFile

SIZE_PX = (66, 48)
"""Rows of 198 bytes, which an AVI pads to 200."""
GAPPED_S = np.array([0, 1, 2, 5, 6, 7, 8, 20, 21, 22]) / 25


def noise(times_s: np.ndarray) -> list[Frame]:
    rng = np.random.default_rng(0)
    shape = (SIZE_PX[1], SIZE_PX[0], 3)
    return [Frame(rng.integers(0, 256, shape, dtype=np.uint8), float(t)) for t in times_s]


def smooth(times_s: np.ndarray) -> list[Frame]:
    ramp = np.linspace(60, 180, SIZE_PX[0])[None, :, None] * np.array([1.0, 0.8, 0.6])
    rows = np.broadcast_to(ramp, (SIZE_PX[1], SIZE_PX[0], 3))
    return [Frame((rows + 10 * np.sin(20 * t)).astype(np.uint8), float(t)) for t in times_s]


def read(path: Path) -> list[Frame]:
    with VideoFile(path) as video:
        return list(video)


@pytest.mark.parametrize("codec", ["rawvideo", "ffv1"])
def test_a_lossless_avi_gives_every_bit_back(tmp_path, codec):
    frames = noise(GAPPED_S)
    write_avi(tmp_path / "a.avi", frames, size_px=SIZE_PX, fps=25.0, codec=codec)
    for written, got in zip(frames, read(tmp_path / "a.avi"), strict=True):
        np.testing.assert_array_equal(got.rgb, written.rgb)


@pytest.mark.parametrize("codec", ["mjpeg", "mpeg4"])
def test_a_lossy_avi_keeps_colour_and_faint_change(tmp_path, codec):
    frames = smooth(GAPPED_S)
    write_avi(tmp_path / "a.avi", frames, size_px=SIZE_PX, fps=25.0, codec=codec)
    means = np.array([frame.rgb.mean(axis=(0, 1)) for frame in frames])
    got = np.array([frame.rgb.mean(axis=(0, 1)) for frame in read(tmp_path / "a.avi")])
    assert np.abs(got - means).max() < 3
    assert (got - means).std(axis=0).max() < 0.2


@pytest.mark.parametrize("codec", sorted(PIXELS))
def test_gaps_stay_and_the_stated_times_are_those_read(tmp_path, codec):
    stated_s = write_avi(
        tmp_path / "a.avi", smooth(GAPPED_S), size_px=SIZE_PX, fps=25.0, codec=codec
    )
    np.testing.assert_allclose(stated_s, GAPPED_S, atol=1e-9)
    times_s = [frame.timestamp_s for frame in read(tmp_path / "a.avi")]
    np.testing.assert_allclose(times_s, GAPPED_S, atol=1e-9)


def test_frames_closer_than_the_rate_take_the_next_free_place(tmp_path):
    jittered_s = np.array([0.0, 0.041, 0.05, 0.118, 0.2])
    stated_s = write_avi(
        tmp_path / "a.avi", smooth(jittered_s), size_px=SIZE_PX, fps=25.0, codec="rawvideo"
    )
    np.testing.assert_allclose(stated_s, [0.0, 0.04, 0.08, 0.12, 0.2])


@pytest.mark.parametrize("fps", [28.7, 30000 / 1001])
def test_odd_rates_are_kept(tmp_path, fps):
    times_s = np.arange(40) / fps
    write_avi(tmp_path / "a.avi", smooth(times_s), size_px=SIZE_PX, fps=fps, codec="rawvideo")
    with VideoFile(tmp_path / "a.avi") as video:
        assert video.fps == pytest.approx(fps, rel=1e-6)
        got_s = [frame.timestamp_s for frame in video]
    np.testing.assert_allclose(got_s, times_s, atol=1e-6)


@pytest.mark.parametrize("codec", sorted(PIXELS))
def test_the_same_frames_make_the_same_file(tmp_path, codec):
    for name in ("a.avi", "b.avi"):
        write_avi(tmp_path / name, noise(GAPPED_S), size_px=SIZE_PX, fps=25.0, codec=codec)
    assert (tmp_path / "a.avi").read_bytes() == (tmp_path / "b.avi").read_bytes()


def test_a_source_that_fails_leaves_nothing(tmp_path):
    def failing() -> Iterator[Frame]:
        yield from smooth(GAPPED_S)
        raise InputError("the source: broke; mend it")

    with pytest.raises(InputError, match="the source"):
        write_avi(tmp_path / "a.avi", failing(), size_px=SIZE_PX, fps=25.0, codec="rawvideo")
    assert not list(tmp_path.iterdir())


def test_a_missing_folder_is_named(tmp_path):
    path = tmp_path / "none" / "a.avi"
    with pytest.raises(InputError, match=r"none/a\.avi: cannot be written"):
        write_avi(path, smooth(GAPPED_S), size_px=SIZE_PX, fps=25.0, codec="rawvideo")


def test_a_frame_of_another_size_is_not_rescaled(tmp_path):
    with pytest.raises(ValueError, match="pixels"):
        write_avi(
            tmp_path / "a.avi", smooth(GAPPED_S), size_px=(64, 48), fps=25.0, codec="rawvideo"
        )
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("codec", sorted(PIXELS))
def test_pictures_are_counted_without_decoding(tmp_path, codec):
    path = tmp_path / "a.avi"
    write_avi(path, smooth(GAPPED_S), size_px=SIZE_PX, fps=25.0, codec=codec)
    assert n_pictures(path) == len(GAPPED_S)


@pytest.mark.parametrize("kept", [0.0, 0.3, 0.9])
def test_a_truncated_file_has_no_count(tmp_path, kept):
    path = tmp_path / "a.avi"
    write_avi(path, noise(GAPPED_S), size_px=SIZE_PX, fps=25.0, codec="rawvideo")
    path.write_bytes(path.read_bytes()[: int(kept * path.stat().st_size)])
    assert n_pictures(path) is None
    assert n_pictures(tmp_path / "none.avi") is None
