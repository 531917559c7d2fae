import gc
import weakref
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from physkit.core.errors import InputError
from physkit.media.frames import Frame
from physkit.media.open import open_frames
from physkit.media.orientation import Orientation, orient, quarter_turn, read_orientation

MakeVideo = Callable[..., Path]


def read(path: Path, **options: float) -> list[Frame]:
    with open_frames(path, **options) as source:
        return list(source)


def assert_refused(path: Path, *words: str) -> None:
    with pytest.raises(InputError) as caught:
        read(path)
    message = str(caught.value)
    assert "\n" not in message
    assert str(path) in message
    for word in words:
        assert word in message


def test_face_video_is_read_whole_with_its_times(assets: Path) -> None:
    with open_frames(assets / "videos" / "face.mp4") as source:
        assert source.fps == 30
        assert source.n_frames == 301
        frames = list(source)
    assert len(frames) == 301
    assert frames[0].rgb.shape == (592, 528, 3)
    times_s = np.array([frame.timestamp_s for frame in frames])
    np.testing.assert_allclose(times_s, np.arange(301) / 30, atol=1e-9)


def test_colours_equal_those_opencv_decodes(assets: Path) -> None:
    path = assets / "videos" / "face.mp4"
    capture = cv2.VideoCapture(str(path))
    with open_frames(path) as source:
        for frame, _ in zip(source, range(5), strict=False):
            _, bgr = capture.read()
            np.testing.assert_array_equal(frame.rgb, bgr[..., ::-1])


def test_variable_frame_rate_is_kept(assets: Path) -> None:
    times_s = [frame.timestamp_s for frame in read(assets / "videos" / "face_noface.mov")]
    steps_s = np.diff(times_s)
    assert len(times_s) == 169
    assert 26 < len(steps_s) / times_s[-1] < 27
    assert steps_s.min() < 0.02
    assert steps_s.max() > 0.04


def test_dropped_frames_leave_gaps_in_time(
    make_video: MakeVideo, pictures: list[np.ndarray], tmp_path: Path
) -> None:
    kept = [index for index in range(30) if index % 7]
    path = make_video(
        tmp_path / "a.mp4", [pictures[i] for i in kept], times_s=[i / 25 for i in kept]
    )
    times_s = np.array([frame.timestamp_s for frame in read(path)])
    np.testing.assert_allclose(times_s, (np.array(kept) - kept[0]) / 25, atol=1e-4)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts", "a.webm"])
def test_every_container_starts_at_zero_and_increases(
    make_video: MakeVideo, pictures: list[np.ndarray], tmp_path: Path, name: str
) -> None:
    codec = "libvpx-vp9" if name.endswith("webm") else "libx264"
    frames = read(make_video(tmp_path / name, pictures, codec=codec))
    times_s = np.array([frame.timestamp_s for frame in frames])
    np.testing.assert_allclose(times_s, np.arange(30) / 25, atol=1e-3)


@pytest.mark.parametrize("name", ["late.mkv", "late.mp4", "late.ts"])
def test_a_video_that_begins_late_is_whole(
    make_video: MakeVideo, pictures: list[np.ndarray], tmp_path: Path, name: str
) -> None:
    late = [3 + index / 25 for index in range(30)]
    frames = read(make_video(tmp_path / name, pictures, times_s=late))
    assert len(frames) == 30
    assert frames[0].timestamp_s == 0


def test_avi_without_presentation_times_still_increases(
    make_video: MakeVideo, pictures: list[np.ndarray], tmp_path: Path
) -> None:
    path = make_video(tmp_path / "b.avi", pictures, codec_options={"bf": "2"})
    times_s = np.array([frame.timestamp_s for frame in read(path)])
    assert (np.diff(times_s) > 0).all()
    assert len(times_s) >= 28
    assert times_s[-1] == pytest.approx(29 / 25, abs=0.1)


@pytest.mark.parametrize(("degrees", "turns"), [(0, 0), (90, 1), (180, 2), (270, 3), (-90, 3)])
def test_pictures_turned_by_metadata_come_out_upright(
    make_video: MakeVideo,
    pictures: list[np.ndarray],
    tmp_path: Path,
    degrees: int,
    turns: int,
) -> None:
    # The player turns anticlockwise by `degrees`, so what is stored lies turned clockwise.
    stored = [np.rot90(picture, -turns) for picture in pictures]
    frames = read(make_video(tmp_path / "turned.mp4", stored, rotation_degrees=degrees))
    assert frames[0].rgb.shape == pictures[0].shape
    error = frames[0].rgb.astype(float) - pictures[0]
    assert np.abs(error).mean() < 4


def test_orientation_follows_the_matrix_definition() -> None:
    picture = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    one = 1 << 16
    mirrored = read_orientation(np.array([-one, 0, 0, 0, one, 0, 0, 0, 1 << 30], np.int32))
    np.testing.assert_array_equal(orient(picture, mirrored), picture[:, ::-1])
    transposed = read_orientation(np.array([0, one, 0, one, 0, 0, 0, 0, 1 << 30], np.int32))
    np.testing.assert_array_equal(orient(picture, transposed), picture.transpose(1, 0, 2))
    assert quarter_turn(0) == Orientation(False, False, False)
    for turns in range(4):
        turned = orient(picture, quarter_turn(90 * turns))
        np.testing.assert_array_equal(turned, np.rot90(picture, turns))


def white_and_colour(path: Path, *, full_range: bool, matrix: int) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        stream.codec_context.color_range = 2 if full_range else 1
        stream.codec_context.colorspace = matrix
        for index in range(3):
            planes = np.full((96, 64), 235, np.uint8)
            planes[64:80], planes[80:] = 128, 128
            planes[:32] = 120
            planes[64:72], planes[80:88] = 100, 160
            frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
            frame.color_range, frame.colorspace = stream.codec_context.color_range, matrix
            frame.pts, frame.time_base = index, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


@pytest.mark.parametrize(
    ("full_range", "matrix", "colour", "white"),
    [
        (False, 6, (172.2, 106.1, 64.6), 255),  # BT.601, limited range, by its definition
        (False, 1, (178.5, 110.0, 61.9), 255),  # BT.709
        (False, 2, (172.2, 106.1, 64.6), 255),  # untagged: taken for BT.601
        (True, 1, (170.4, 110.3, 68.0), 235),  # BT.709, full range
    ],
)
def test_matrix_and_range_of_the_stream_are_honoured(
    tmp_path: Path,
    full_range: bool,
    matrix: int,
    colour: tuple[float, float, float],
    white: int,
) -> None:
    path = tmp_path / "colour.mkv"
    white_and_colour(path, full_range=full_range, matrix=matrix)
    rgb = read(path)[0].rgb
    np.testing.assert_allclose(rgb[10, 10], colour, atol=2.5)
    np.testing.assert_allclose(rgb[50, 10], white, atol=2)


def test_odd_sizes_are_read(make_video: MakeVideo, tmp_path: Path) -> None:
    odd = [np.full((35, 53, 3), 90, np.uint8)] * 3
    frames = read(make_video(tmp_path / "odd.mkv", odd, codec="ffv1", pixels="bgr0"))
    np.testing.assert_array_equal(frames[1].rgb, odd[1])


def test_frames_are_read_once(assets: Path) -> None:
    with open_frames(assets / "videos" / "single_face.mp4") as source:
        next(iter(source))
        with pytest.raises(RuntimeError, match="once"):
            iter(source)


def test_memory_does_not_grow_with_length(
    make_video: MakeVideo, pictures: list[np.ndarray], tmp_path: Path
) -> None:
    path = make_video(tmp_path / "long.mp4", pictures * 20)
    with open_frames(path) as source:
        seen = [(weakref.ref(frame), frame.timestamp_s) for frame in source]
        alive = [reference for reference, _ in seen if reference() is not None]
    assert len(seen) == 600
    assert len(alive) <= 2


def test_decoded_pictures_are_freed_without_a_search_for_cycles(
    make_video: MakeVideo, pictures: list[np.ndarray], tmp_path: Path
) -> None:
    path = make_video(tmp_path / "long.mp4", pictures * 3)
    gc.collect()
    gc.disable()
    try:
        with open_frames(path) as source:
            for n_seen, _ in enumerate(source, start=1):
                if n_seen % 45 == 0:  # a look at all objects takes long
                    assert sum(type(one) is av.VideoFrame for one in gc.get_objects()) < 30
    finally:
        gc.enable()


@pytest.mark.parametrize("name", ["missing.mp4", "x" * 300 + ".mp4"])
def test_missing_file_is_refused(tmp_path: Path, name: str) -> None:
    assert_refused(tmp_path / name, "check the path")


def test_empty_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    assert_refused(tmp_path / "empty.mp4", "0 bytes")


@pytest.mark.parametrize("name", ["notes.mp4", "notes.txt", "notes.avi"])
def test_text_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("this is not a video\n" * 50)
    assert_refused(tmp_path / name, "not a readable video")


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("index_last.mp4", "libx264", {}),
        ("index_first.mp4", "libx264", {"movflags": "faststart"}),
        ("fragments.mp4", "libx264", {"movflags": "frag_keyframe+empty_moov"}),
        ("a.mkv", "libx264", {}),
        ("a.avi", "mjpeg", {}),
        ("raw.avi", "rawvideo", {}),
    ],
)
@pytest.mark.parametrize("kept", [0.3, 0.6])
def test_a_cut_file_is_never_silently_short(
    make_video: MakeVideo,
    pictures: list[np.ndarray],
    tmp_path: Path,
    name: str,
    codec: str,
    options: dict[str, str],
    kept: float,
) -> None:
    pixels = {"mjpeg": "yuvj420p", "rawvideo": "bgr24"}.get(codec, "yuv420p")
    path = make_video(tmp_path / name, pictures * 3, codec=codec, pixels=pixels, options=options)
    assert len(read(path)) == 90
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * kept)])
    assert_refused(path)


def test_real_video_cut_at_any_point_is_refused(assets: Path, tmp_path: Path) -> None:
    whole = (assets / "videos" / "face.mp4").read_bytes()
    for share in (0.001, 0.2, 0.9):
        path = tmp_path / "cut.mp4"
        path.write_bytes(whole[: int(len(whole) * share)])
        assert_refused(path)


@pytest.mark.parametrize("share", [0.3, 0.7])
def test_damage_in_the_middle_is_counted_where_it_is(
    assets: Path, tmp_path: Path, share: float
) -> None:
    data = bytearray((assets / "videos" / "face.mp4").read_bytes())
    start = int(share * len(data))
    data[start : start + 2000] = np.random.default_rng(0).bytes(2000)
    path = tmp_path / "damaged.mp4"
    path.write_bytes(data)
    frames = read(path)
    assert len(frames) == 301
    unseen_s = [frame.timestamp_s for frame in frames if frame.picture is None]
    assert 1 <= len(unseen_s) <= 5
    assert unseen_s[0] == pytest.approx(share * 10, abs=1)


def test_audio_only_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "song.wav"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.int16), layout="mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    assert_refused(path, "audio but no video")


def test_one_frame_is_refused(
    make_video: MakeVideo, pictures: list[np.ndarray], tmp_path: Path
) -> None:
    assert_refused(make_video(tmp_path / "one.mp4", pictures[:1]), "only one frame")


def test_stream_without_times_needs_a_rate(
    make_video: MakeVideo, pictures: list[np.ndarray], tmp_path: Path
) -> None:
    path = make_video(tmp_path / "bare.h264", pictures)
    assert_refused(path, "--fps")
    assert read(path, fps=50.0)[-1].timestamp_s == pytest.approx(29 / 50)


@pytest.mark.parametrize("fps", [0.0, -1.0, float("nan"), float("inf")])
def test_impossible_rates_are_refused(tmp_path: Path, fps: float) -> None:
    with pytest.raises(InputError, match="--fps"):
        open_frames(tmp_path, fps=fps)


def test_crops_are_not_opened_as_video(tmp_path: Path) -> None:
    np.save(tmp_path / "crops.npy", np.zeros((2, 4, 4, 3), np.uint8))
    assert_refused(tmp_path / "crops.npy", "crops")
