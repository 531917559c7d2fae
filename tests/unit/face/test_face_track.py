from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

import numpy as np
import pytest
from scipy import signal
from spot_detector import SpotDetector

from physkit.face.box import Box
from physkit.face.crop import crop_face
from physkit.face.cuts import CutFinder
from physkit.face.detect.base import FaceBoxRule, FaceDetector
from physkit.face.detect.haar import HaarDetector
from physkit.face.track import FaceTracker, TrackedFrame, TrackerConfig
from physkit.media.frames import Frame
from physkit.media.picture import PixelPicture

FPS = 30.0
HEIGHT, WIDTH = 120, 160
ReadVideo = Callable[[str], list[Frame]]


def frame_with(
    index: int, *spots: tuple[int, int, int, int], shade: int = 250, ground: int = 60
) -> Frame:
    """A frame with rectangles (x, y, side, shade)."""
    rgb = np.full((HEIGHT, WIDTH, 3), ground, np.uint8)
    for x, y, side, shade in spots:
        rgb[y : y + side, x : x + side, 0] = shade
    return Frame(rgb, index / FPS)


def track(
    frames: Sequence[Frame], *, jitter_px: float = 0.0, config: TrackerConfig | None = None
) -> list[TrackedFrame]:
    tracked = list(FaceTracker(SpotDetector(jitter_px), config).track(frames))
    assert [t.frame for t in tracked] == list(frames)
    for one in tracked:
        assert (one.box is None) == (one.segment is None) == (one.confidence == 0)
    return tracked


def test_no_frames_give_nothing() -> None:
    assert track([]) == []


@pytest.mark.parametrize("n_frames", [1, 2, 15, 16, 17, 40])
def test_a_still_face_has_one_exact_box(n_frames: int) -> None:
    tracked = track([frame_with(i, (50, 40, 30, 250)) for i in range(n_frames)])
    assert {one.box for one in tracked} == {Box(50.0, 40.0, 30.0, 30.0)}
    assert {one.segment for one in tracked} == {0}


def test_detector_noise_does_not_move_a_still_face() -> None:
    tracked = track([frame_with(i, (50, 40, 30, 250)) for i in range(300)], jitter_px=1.2)
    assert len({one.box for one in tracked}) == 1


def test_few_frames_are_looked_at() -> None:
    detector = SpotDetector()
    frames = [frame_with(i, (50, 40, 30, 250)) for i in range(300)]
    list(FaceTracker(detector).track(frames))
    assert detector.n_pictures < 300 / 10


@pytest.mark.parametrize("gone_from", [1, 2, 7, 30, 31, 44])
@pytest.mark.parametrize("gone_until", [46, 60, 100])
def test_a_face_goes_and_comes_exact_to_the_frame(gone_from: int, gone_until: int) -> None:
    frames = [
        frame_with(i, *([] if gone_from <= i < gone_until else [(50, 40, 30, 250)]))
        for i in range(100)
    ]
    tracked = track(frames)
    first_seen = next((i for i in range(gone_until, 100) if tracked[i].box), 100)
    assert all(tracked[i].box for i in range(gone_from))
    assert not any(tracked[i].box for i in range(gone_from, gone_until))
    assert first_seen == gone_until
    assert {one.segment for one in tracked[gone_until:]} <= {1}


def test_a_moving_face_is_followed() -> None:
    xs = [10 + i for i in range(100)]
    tracked = track([frame_with(i, (x, 40, 30, 250)) for i, x in enumerate(xs)])
    band_px = 30 * TrackerConfig().position_band
    for one, x in zip(tracked, xs, strict=True):
        assert one.box is not None
        assert abs(one.box.x - x) <= band_px + 1.1
    steps = np.diff([one.box.x for one in tracked if one.box])
    assert np.abs(steps).max() < 2
    assert {one.segment for one in tracked} == {0}


def test_a_growing_face_is_followed() -> None:
    sides = [30 + i // 2 for i in range(100)]
    tracked = track([frame_with(i, (10, 10, side, 250)) for i, side in enumerate(sides)])
    for one, side in zip(tracked, sides, strict=True):
        assert one.box is not None
        assert one.box.width == pytest.approx(side, rel=0.13)


def test_a_cut_between_two_faces_is_not_bridged() -> None:
    frames = [
        frame_with(i, (20, 20, 40, 250), ground=60)
        if i < 37
        else frame_with(i, (90, 60, 40, 250), ground=120)
        for i in range(80)
    ]
    tracked = track(frames)
    assert {one.box for one in tracked[:37]} == {Box(20.0, 20.0, 40.0, 40.0)}
    assert {one.box for one in tracked[37:]} == {Box(90.0, 60.0, 40.0, 40.0)}
    assert [one.segment for one in tracked] == [0] * 37 + [1] * 43


def test_a_short_cutaway_between_two_looks_is_seen() -> None:
    frames = [
        frame_with(i, ground=200) if 33 <= i < 37 else frame_with(i, (50, 40, 30, 250))
        for i in range(80)
    ]
    tracked = track(frames)
    assert [i for i, one in enumerate(tracked) if one.box is None] == [33, 34, 35, 36]


def test_the_first_face_is_kept_when_a_larger_one_comes() -> None:
    frames = [
        frame_with(i, (20, 20, 30, 250), *([] if i < 20 else [(90, 40, 60, 230)]))
        for i in range(90)
    ]
    tracked = track(frames)
    assert {one.box for one in tracked} == {Box(20.0, 20.0, 30.0, 30.0)}


def test_the_largest_face_is_taken_first() -> None:
    tracked = track([frame_with(i, (20, 20, 30, 250), (90, 40, 60, 230)) for i in range(5)])
    assert {one.box for one in tracked} == {Box(90.0, 40.0, 60.0, 60.0)}


def test_times_and_not_counts_set_the_rhythm() -> None:
    frames = [Frame(frame_with(0, (50, 40, 30, 250)).rgb, index * 0.6) for index in range(20)]
    detector = SpotDetector()
    list(FaceTracker(detector).track(frames))
    assert detector.n_pictures >= 20


def test_lookahead_is_bounded() -> None:
    n_given = 0

    def stream() -> Iterator[Frame]:
        nonlocal n_given
        for index in range(200):
            n_given += 1
            yield frame_with(index, (50, 40, 30, 250))

    config = TrackerConfig(max_lookahead_frames=8)
    for n_taken, _ in enumerate(FaceTracker(SpotDetector(), config).track(stream())):
        assert n_given - n_taken <= 8


def test_a_face_that_leaves_the_picture_is_cut_at_its_edge() -> None:
    detector = SpotDetector()
    detector.face_box = FaceBoxRule(width=2.0, height=2.0, shift_y=0.0)
    frames = [frame_with(i, (0, 40, 30, 250)) for i in range(3)]
    boxes = {one.box for one in FaceTracker(detector).track(frames)}
    assert boxes == {Box(0.0, 25.0, 45.0, 60.0)}


def test_cuts_are_sudden_changes_only() -> None:
    rng = np.random.default_rng(0)
    finder = CutFinder(25.0)

    def is_cut(pixels: np.ndarray) -> bool:
        return finder.is_cut(PixelPicture(pixels))

    fade = [np.full((90, 160, 3), level, np.uint8) for level in range(0, 200, 5)]
    assert not any(is_cut(pixels) for pixels in fade)
    assert is_cut(np.zeros((90, 160, 3), np.uint8))
    assert is_cut(np.zeros((160, 90, 3), np.uint8))
    is_cut(np.zeros((90, 160, 3), np.uint8))
    noise = rng.integers(0, 256, (20, 90, 160, 3), dtype=np.uint8)
    assert sum(is_cut(pixels) for pixels in noise) <= 1


def coverage(tracked: Sequence[TrackedFrame]) -> float:
    return float(np.mean([one.box is not None for one in tracked]))


def test_real_face_has_a_constant_box_and_a_pulse(
    detector: FaceDetector, read_video: ReadVideo
) -> None:
    tracked = list(FaceTracker(detector).track(read_video("face.mp4")))
    assert coverage(tracked) == 1
    assert len({one.box for one in tracked}) == 1
    crops = [crop_face(one.frame.rgb, one.box) for one in tracked if one.box]
    green = np.array([crop[..., 1].mean() for crop in crops])
    b, a = signal.butter(2, [0.7, 3], "bandpass", fs=FPS)
    spectrum = np.abs(np.fft.rfft(signal.filtfilt(b, a, green), 1 << 14))
    assert np.fft.rfftfreq(1 << 14, 1 / FPS)[spectrum.argmax()] * 60 == pytest.approx(52.5, abs=1)


def test_coverage_ends_with_the_face(detector: FaceDetector, read_video: ReadVideo) -> None:
    tracked = list(FaceTracker(detector).track(read_video("face_noface.mov")))
    # Seen by eye: 72 frames of a man, one black frame, then a cartoon.
    assert [one.box is not None for one in tracked] == [True] * 72 + [False] * 97


def test_no_face_is_claimed_where_there_is_none(
    detector: FaceDetector, read_video: ReadVideo
) -> None:
    assert coverage(list(FaceTracker(detector).track(read_video("no_face.mp4")))) == 0


@pytest.mark.parametrize(
    ("name", "expected"), [("single_face.mp4", 1.0), ("WolfgangLanger_Pexels.mp4", 0.9)]
)
def test_moving_faces_are_followed_steadily(
    detector: FaceDetector, read_video: ReadVideo, name: str, expected: float
) -> None:
    tracked = list(FaceTracker(detector).track(read_video(name)))
    assert coverage(tracked) >= expected  # the cascade loses a head that is tilted far
    boxes = [one.box for one in tracked[:400]]
    steps = [max(abs(b.x - a.x), abs(b.y - a.y)) / a.width for a, b in pairwise(boxes) if a and b]
    assert max(steps) < 0.03


@pytest.mark.parametrize("turns", [1, 2])
def test_a_face_on_its_side_is_not_claimed_with_confidence(
    face_picture: np.ndarray, turns: int
) -> None:
    turned = np.ascontiguousarray(np.rot90(face_picture, turns))
    frames = [Frame(turned, index / FPS) for index in range(20)]
    assert coverage(list(FaceTracker(HaarDetector()).track(frames))) == 0


@pytest.mark.parametrize("shape", [(1, 1), (24, 32), (1080, 1920)])
def test_any_size_without_a_face_is_no_trouble(
    detector: FaceDetector, shape: tuple[int, int]
) -> None:
    frames = [Frame(np.zeros((*shape, 3), np.uint8), index / FPS) for index in range(3)]
    assert coverage(list(FaceTracker(detector).track(frames))) == 0


def test_a_damaged_picture_is_not_seen_and_the_face_goes_on() -> None:
    face = (50, 40, 30, 250)
    frames = [frame_with(i, face) for i in range(60)]
    frames[20] = Frame(None, 20 / FPS)
    frames[40:50] = [Frame(None, i / FPS) for i in range(40, 50)]
    tracked = track(frames)
    unseen = [index for index, one in enumerate(tracked) if one.box is None]
    assert unseen == [20, *range(40, 50)]
    assert {one.segment for one in tracked if one.box is not None} == {0}
    assert [one.box for one in track([Frame(None, 0.0), Frame(None, 0.1)])] == [None, None]
