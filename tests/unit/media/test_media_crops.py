import io
from pathlib import Path

import hypothesis.extra.numpy as arrays
import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from physkit.core.errors import InputError
from physkit.media.crops import Crops, read_crops

CROPS = np.random.default_rng(0).integers(0, 256, (5, 6, 7, 3), dtype=np.uint8)


def assert_valid(crops: Crops) -> None:
    assert crops.frames.ndim == 4
    assert crops.frames.shape[-1] == 3
    assert len(crops.frames) == len(crops.timestamps_s) >= 2
    assert crops.frames.dtype in (np.uint8, np.float32)
    if crops.frames.dtype == np.float32:
        assert np.isfinite(crops.frames).all()
        assert crops.frames.min() >= 0
        assert crops.frames.max() <= 1
    assert crops.timestamps_s.dtype == np.float64
    assert np.isfinite(crops.timestamps_s).all()
    assert (np.diff(crops.timestamps_s) > 0).all()


def assert_valid_or_refused(path: Path, fps: float | None) -> None:
    try:
        crops = read_crops(path, fps=fps)
    except InputError as error:
        message = str(error)
    else:
        assert_valid(crops)
        return
    assert str(path) in message
    assert "\n" not in message


def test_npy_is_mapped_and_timed_by_the_rate(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", CROPS)
    crops = read_crops(tmp_path / "a.npy", fps=25.0)
    assert isinstance(crops.frames, np.memmap)
    np.testing.assert_array_equal(crops.frames, CROPS)
    np.testing.assert_allclose(crops.timestamps_s, np.arange(5) / 25)


def test_npz_keeps_its_own_times(tmp_path: Path) -> None:
    times_s = np.array([0.0, 0.03, 0.07, 0.1, 0.2])
    np.savez_compressed(tmp_path / "a.npz", frames=CROPS, timestamps_s=times_s)
    crops = read_crops(tmp_path / "a.npz", fps=10.0)
    np.testing.assert_array_equal(crops.frames, CROPS)
    np.testing.assert_array_equal(crops.timestamps_s, times_s)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, ">f4"])
def test_floats_become_float32(tmp_path: Path, dtype: str) -> None:
    np.save(tmp_path / "a.npy", (CROPS / 255).astype(dtype))
    crops = read_crops(tmp_path / "a.npy", fps=25.0)
    assert_valid(crops)
    np.testing.assert_allclose(crops.frames, CROPS / 255, atol=1e-3)


def float_crops(value: float) -> np.ndarray:
    frames = (CROPS / 255).astype(np.float32)
    frames[3, 2, 1, 0] = value
    return frames


@pytest.mark.parametrize(
    ("frames", "word"),
    [
        (float_crops(np.nan), "NaN"),
        (float_crops(np.inf), "infinite"),
        (float_crops(1.01), "255"),
        (float_crops(-0.01), "255"),
        (CROPS[..., :2], "shape"),
        (CROPS[0], "shape"),
        (CROPS[:0], "too little"),
        (CROPS[:1], "too little"),
        (CROPS[:, :0], "too little"),
        (CROPS.astype(np.int64), "int64"),
        (CROPS.astype(np.complex64), "complex64"),
        (np.full((3, 2, 2, 3), "x"), "<U1"),
    ],
)
def test_unusable_frames_are_refused(tmp_path: Path, frames: np.ndarray, word: str) -> None:
    np.save(tmp_path / "a.npy", frames)
    with pytest.raises(InputError, match=word) as caught:
        read_crops(tmp_path / "a.npy", fps=25.0)
    assert "a.npy" in str(caught.value)


@pytest.mark.parametrize(
    "times_s",
    [
        [0.0, 0.1, 0.2, 0.3],
        [0.0, 0.1, 0.1, 0.3, 0.4],
        [0.0, 0.2, 0.1, 0.3, 0.4],
        [0.0, np.nan, 0.2, 0.3, 0.4],
        [[0.0, 0.1, 0.2, 0.3, 0.4]],
        ["a", "b", "c", "d", "e"],
    ],
)
def test_unusable_times_are_refused(tmp_path: Path, times_s: list[float]) -> None:
    np.savez(tmp_path / "a.npz", frames=CROPS, timestamps_s=np.array(times_s))
    with pytest.raises(InputError, match="timestamps_s"):
        read_crops(tmp_path / "a.npz", fps=25.0)


def test_a_file_without_times_needs_a_rate(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", CROPS)
    with pytest.raises(InputError, match="--fps"):
        read_crops(tmp_path / "a.npy")


def test_an_archive_of_other_arrays_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", pictures=CROPS)
    with pytest.raises(InputError, match="pictures"):
        read_crops(tmp_path / "a.npz", fps=25.0)


class Attack:
    """Unpickling it would leave a file behind."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return open, (self.path, "w")


@pytest.mark.parametrize("name", ["a.npy", "a.npz"])
def test_pickled_code_is_never_run(tmp_path: Path, name: str) -> None:
    attack = np.array([Attack(str(tmp_path / "ran"))], dtype=object)
    save = np.save if name.endswith("npy") else np.savez
    if name.endswith("npy"):
        save(tmp_path / name, attack, allow_pickle=True)
    else:
        save(tmp_path / name, frames=attack)
    with pytest.raises(InputError):
        read_crops(tmp_path / name, fps=25.0)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("name", ["missing.npy", "folder", "video.mp4"])
def test_other_things_are_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "video.mp4").touch()
    with pytest.raises(InputError, match=name):
        read_crops(tmp_path / name, fps=25.0)


def saved(kind: str) -> bytes:
    buffer = io.BytesIO()
    if kind == "npy":
        np.save(buffer, CROPS)
    elif kind == "npz":
        np.savez(buffer, frames=CROPS, timestamps_s=np.arange(5.0))
    else:
        np.savez_compressed(buffer, frames=CROPS, timestamps_s=np.arange(5.0))
    return buffer.getvalue()


@settings(max_examples=200, deadline=None)
@given(
    kind=st.sampled_from(["npy", "npz", "npz compressed"]),
    cut=st.floats(0, 1),
    damage=st.lists(st.tuples(st.floats(0, 0.999), st.integers(0, 255)), max_size=8),
    fps=st.sampled_from([None, 30.0]),
)
def test_damaged_files_are_valid_or_refused(
    tmp_path_factory: pytest.TempPathFactory,
    kind: str,
    cut: float,
    damage: list[tuple[float, int]],
    fps: float | None,
) -> None:
    data = bytearray(saved(kind))
    for place, value in damage:
        data[int(place * len(data))] = value
    path = tmp_path_factory.getbasetemp() / f"damaged.{kind[:3]}"
    path.write_bytes(data[: int(cut * len(data))] if cut < 0.9 else data)
    assert_valid_or_refused(path, fps)


@settings(max_examples=200, deadline=None)
@given(data=st.binary(max_size=300), suffix=st.sampled_from(["npy", "npz"]))
def test_random_bytes_are_refused(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, suffix: str
) -> None:
    path = tmp_path_factory.getbasetemp() / f"random.{suffix}"
    path.write_bytes(data)
    with pytest.raises(InputError):
        read_crops(path, fps=30.0)


@settings(max_examples=200, deadline=None)
@given(
    frames=arrays.arrays(
        dtype=st.sampled_from([np.uint8, np.float16, np.float32, np.float64, np.int32, np.bool_]),
        shape=st.one_of(
            arrays.array_shapes(min_dims=0, max_dims=5, max_side=4),
            st.tuples(st.integers(0, 4), st.integers(1, 3), st.integers(1, 3), st.just(3)),
        ),
    ),
    times_s=st.one_of(
        st.none(),
        arrays.arrays(dtype=np.float64, shape=st.integers(0, 4)),
    ),
    fps=st.sampled_from([None, 30.0]),
)
def test_any_arrays_are_valid_or_refused(
    tmp_path_factory: pytest.TempPathFactory,
    frames: np.ndarray,
    times_s: np.ndarray | None,
    fps: float | None,
) -> None:
    folder = tmp_path_factory.getbasetemp()
    np.save(folder / "any.npy", frames)
    assert_valid_or_refused(folder / "any.npy", fps)
    more = {} if times_s is None else {"timestamps_s": times_s}
    np.savez(folder / "any.npz", frames=frames, **more)
    assert_valid_or_refused(folder / "any.npz", fps)
