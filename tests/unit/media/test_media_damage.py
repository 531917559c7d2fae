"""Damaged pictures are frames without one, in their places; only too many refuse a video."""

from pathlib import Path

import numpy as np
import pytest
from clips import damage_packets, noisy_pictures, write_video

from physkit.core.errors import InputError
from physkit.media.frames import MAX_DAMAGED, Frame, FrameSource
from physkit.media.open import open_frames
from physkit.media.video import VideoFile

N = 60
KINDS = {
    "a.avi": ("mpeg4", "yuv420p", {}),
    "a.mp4": ("libx264", "yuv420p", {"bf": "0", "g": "10"}),
    "b.mp4": ("libx265", "yuv420p", {"x265-params": "log-level=none:keyint=12"}),
    "jpeg.avi": ("mjpeg", "yuvj420p", {}),
}


@pytest.fixture(scope="module")
def noise() -> list[np.ndarray]:
    return noisy_pictures(N)


def video(folder: Path, noise: list[np.ndarray], name: str) -> Path:
    codec, pixels, codec_options = KINDS[name]
    return write_video(
        folder / name, noise, codec=codec, pixels=pixels, codec_options=codec_options
    )


def read(path: Path, *, threads: int = 0) -> tuple[list[Frame], FrameSource]:
    with VideoFile(path, decode_threads=threads) as source:
        return list(source), source


def unseen(frames: list[Frame]) -> list[int]:
    return [index for index, frame in enumerate(frames) if frame.picture is None]


@pytest.mark.parametrize("threads", [1, 4])
@pytest.mark.parametrize("name", sorted(KINDS))
def test_a_damaged_last_packet_is_one_frame_that_was_not_seen(
    tmp_path: Path, noise: list[np.ndarray], name: str, threads: int
) -> None:
    path = video(tmp_path, noise, name)
    damage_packets(path, slice(-1, None))
    frames, source = read(path, threads=threads)
    assert len(frames) == N
    (lost,) = unseen(frames)
    assert lost in (N - 2, N - 1)  # the last one sent may be shown before the last
    assert source.damage.n_damaged == 1
    assert source.warnings == (
        f"1 picture is damaged (the first: at {lost / 25:.2f} s) and counts as not seen",
    )


@pytest.mark.parametrize("kept", [0.0, 0.5])
@pytest.mark.parametrize("name", ["a.avi", "a.mp4", "jpeg.avi"])
def test_a_damaged_stretch_in_the_middle_keeps_its_place(
    tmp_path: Path, noise: list[np.ndarray], name: str, kept: float
) -> None:
    path = video(tmp_path, noise, name)
    damage_packets(path, slice(20, 30), kept=kept)
    frames, source = read(path)
    assert unseen(frames) == list(range(20, 30))
    np.testing.assert_allclose([f.timestamp_s for f in frames], np.arange(N) / 25, atol=1e-3)
    assert source.damage.n_damaged == 10
    with pytest.raises(ValueError, match="damaged"):
        _ = frames[20].rgb
    assert frames[30].rgb.shape == (64, 96, 3)


def test_lost_pictures_do_not_depend_on_the_threads(
    tmp_path: Path, noise: list[np.ndarray]
) -> None:
    path = write_video(tmp_path / "b.mp4", noise)
    damage_packets(path, slice(25, 30), kept=0.0)
    alone, threaded = (read(path, threads=threads)[0] for threads in (1, 4))
    assert [f.timestamp_s for f in alone] == [f.timestamp_s for f in threaded]
    assert unseen(alone) == unseen(threaded) != []


def test_more_than_the_documented_share_refuses(tmp_path: Path, noise: list[np.ndarray]) -> None:
    path = video(tmp_path, noise, "a.avi")
    most = int(MAX_DAMAGED * N)
    damage_packets(path, slice(10, 10 + most))
    assert len(unseen(read(path)[0])) == most
    damage_packets(path, slice(10, 11 + most))
    with pytest.raises(InputError, match=f"{most + 1} of {N} pictures are damaged") as caught:
        read(path)
    assert str(path) in str(caught.value)
    assert "at 0.40 s" in str(caught.value)


def test_a_video_of_damaged_pictures_alone_says_what_the_decoder_said(
    tmp_path: Path, noise: list[np.ndarray]
) -> None:
    path = video(tmp_path, noise, "a.avi")
    damage_packets(path, slice(None), kept=0.0)
    with pytest.raises(InputError, match=r"no frame that can be decoded \(Invalid data"):
        read(path)


def test_a_last_picture_cut_short_is_damaged_and_half_a_second_is_truncated(
    tmp_path: Path, noise: list[np.ndarray]
) -> None:
    path = write_video(tmp_path / "raw.avi", noise, codec="rawvideo", pixels="bgr24")
    frame_bytes = 64 * 96 * 3
    whole = path.read_bytes()
    path.write_bytes(whole[: whole.rindex(b"idx1") - frame_bytes // 2])
    frames, source = read(path)
    assert unseen(frames) == [N - 1]
    assert source.damage.n_damaged == 1
    path.write_bytes(whole[: whole.rindex(b"idx1") - 15 * frame_bytes])
    with pytest.raises(InputError, match="truncated"):
        read(path)


@pytest.mark.parametrize(
    ("codec", "options"),
    [
        ("libx264", {"g": "25", "sc_threshold": "0", "bf": "0"}),
        ("libx265", {"x265-params": "log-level=none:keyint=25:scenecut=0:bframes=0"}),
        ("mpeg4", {"g": "25"}),
    ],
)
def test_a_stream_joined_between_key_pictures_is_read_from_the_next(
    tmp_path: Path, codec: str, options: dict[str, str]
) -> None:
    path = write_video(tmp_path / "a.ts", noisy_pictures(90), codec=codec, codec_options=options)
    data = path.read_bytes()
    with VideoFile(path) as source:
        assert len(list(source)) == 90
    joined = tmp_path / "joined.ts"
    joined.write_bytes(data[int(0.2 * len(data)) // 188 * 188 :])
    frames, source = read(joined)
    n_missing = source.damage.n_missing_start
    assert unseen(frames) == list(range(n_missing))
    assert 1 <= n_missing <= 25
    assert len(frames) - n_missing in (50, 65, 66)
    assert source.damage.n_damaged == 0
    (warning,) = source.warnings
    assert warning.startswith(("the first 0.", "the first 1."))
    steps_s = np.diff([frame.timestamp_s for frame in frames])
    np.testing.assert_allclose(steps_s, 1 / 25, atol=1e-3)


def test_a_damaged_image_is_a_frame_that_was_not_seen(tmp_path: Path) -> None:
    from test_media_images import write_images

    folder = write_images(tmp_path, [f"{index}.png" for index in range(10)])
    (folder / "7.png").write_bytes(b"\x89PNG\r\n\x1a\nnot a picture")
    (folder / "9.png").write_bytes(b"")
    with open_frames(folder, fps=10.0) as source:
        assert unseen(list(source)) == [7, 9]
    assert source.warnings == (
        "2 pictures are damaged (the first: 7.png at 0.70 s) and count as not seen",
    )
    (folder / "1.png").write_bytes(b"")
    with (
        open_frames(folder, fps=10.0) as source,
        pytest.raises(InputError, match=r"3 of 10 pictures .*1\.png at 0\.10 s"),
    ):
        list(source)
