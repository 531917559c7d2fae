import threading
from pathlib import Path

import cv2
import numpy as np
import pytest

from physkit.core.errors import InputError
from physkit.media.open import open_frames


def write_images(folder: Path, names: list[str], *, height: int = 8) -> Path:
    folder.mkdir(exist_ok=True)
    for index, name in enumerate(names):
        bgr = np.zeros((height, 10, 3), np.uint8)
        bgr[..., 2] = index
        assert cv2.imwrite(str(folder / name), bgr)
    return folder


def test_numbers_in_names_are_ordered_as_numbers(tmp_path: Path) -> None:
    folder = write_images(tmp_path, [f"frame_{index}.png" for index in range(12)])
    (folder / "notes.txt").write_text("left alone")
    with open_frames(folder, fps=20.0) as source:
        assert source.n_frames == 12
        assert source.fps == pytest.approx(20)
        frames = list(source)
    assert [int(frame.rgb[0, 0, 0]) for frame in frames] == list(range(12))
    np.testing.assert_allclose([f.timestamp_s for f in frames], np.arange(12) / 20)


def test_nanosecond_names_are_times(tmp_path: Path) -> None:
    start_ns = 1392643993642815000
    steps_ns = [0, 33_000_001, 70_000_000]
    write_images(tmp_path, [f"Image{start_ns + step}.png" for step in steps_ns])
    with open_frames(tmp_path) as source:
        times_s = [frame.timestamp_s for frame in source]
    np.testing.assert_allclose(times_s, [0, 0.033000001, 0.07], rtol=0, atol=1e-12)


def test_folder_without_a_clock_needs_a_rate(tmp_path: Path) -> None:
    write_images(tmp_path, ["a.png", "b.png"])
    with pytest.raises(InputError, match="--fps"):
        open_frames(tmp_path)


@pytest.mark.parametrize("names", [[], ["a.png"]])
def test_folder_with_too_few_images_is_refused(tmp_path: Path, names: list[str]) -> None:
    write_images(tmp_path, names)
    with pytest.raises(InputError, match="image"):
        open_frames(tmp_path, fps=30.0)


@pytest.mark.parametrize("damage", [b"", b"\x89PNG\r\n\x1a\nnot a picture"])
def test_unreadable_image_is_named(tmp_path: Path, damage: bytes) -> None:
    write_images(tmp_path, ["a.png", "b.png"])
    (tmp_path / "b.png").write_bytes(damage)
    with open_frames(tmp_path, fps=30.0) as source, pytest.raises(InputError, match=r"b\.png"):
        list(source)


def test_leaving_a_folder_early_ends_its_threads(tmp_path: Path) -> None:
    folder = write_images(tmp_path, [f"{index}.png" for index in range(30)])
    before = threading.active_count()
    stream = iter(open_frames(folder, fps=30.0))
    next(stream)
    assert threading.active_count() > before
    stream.close()
    assert threading.active_count() == before


def test_images_of_two_sizes_are_refused(tmp_path: Path) -> None:
    write_images(tmp_path, ["a.png", "b.png"])
    write_images(tmp_path, ["c.png"], height=9)
    with open_frames(tmp_path, fps=30.0) as source, pytest.raises(InputError, match="10x9"):
        list(source)


@pytest.mark.parametrize("name", ["camera:77", "camera:", "camera:front", "camera:-1"])
def test_missing_camera_is_one_clear_error(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InputError, match=name) as caught:
        open_frames(name)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr().err == ""


class FakeCapture:
    """A camera that delivers three pictures, BGR, and is then unplugged."""

    def __init__(self, number: int) -> None:
        self.n_left = 3 if number == 0 else 0
        self.is_released = False

    def isOpened(self) -> bool:  # noqa: N802 - OpenCV's name
        return self.n_left > 0

    def get(self, _: int) -> float:
        return 0.0

    def grab(self) -> bool:
        self.n_left -= 1
        return self.n_left >= 0

    def retrieve(self) -> tuple[bool, np.ndarray]:
        return True, np.full((4, 6, 3), (1, 2, 3), np.uint8)

    def release(self) -> None:
        self.is_released = True


def test_camera_frames_are_timed_and_its_end_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2, "VideoCapture", FakeCapture)
    monkeypatch.setattr("sys.platform", "darwin")
    with open_frames("camera:0") as source:
        assert source.n_frames is None
        assert np.isnan(source.fps)
        with pytest.raises(InputError, match="stopped"):
            list(source)
    with open_frames("camera:0") as source:
        stream = iter(source)
        frames = [next(stream) for _ in range(3)]
    assert frames[0].timestamp_s == 0
    assert (np.diff([frame.timestamp_s for frame in frames]) > 0).all()
    assert frames[0].rgb[0, 0].tolist() == [3, 2, 1]
