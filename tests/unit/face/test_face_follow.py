"""A face followed live: every frame is answered from it and those before it alone."""

from collections.abc import Callable

import numpy as np
from spot_detector import SpotDetector

from physkit.face.detect.base import FaceDetector
from physkit.face.follow import FaceFollower
from physkit.face.track import FaceTracker, TrackedFrame
from physkit.media.frames import Frame

FPS, HEIGHT, WIDTH = 30.0, 120, 160


def picture(index: int, x: int | None, *, ground: int = 60) -> Frame:
    rgb = np.full((HEIGHT, WIDTH, 3), ground, np.uint8)
    if x is not None:
        rgb[40:70, x : x + 30, 0] = 250
    return Frame(rgb, index / FPS)


def follow(frames: list[Frame]) -> list[TrackedFrame]:
    follower = FaceFollower(SpotDetector())
    return [follower.see(frame) for frame in frames]


def test_a_still_face_has_one_still_box_and_is_looked_for_now_and_then() -> None:
    detector = SpotDetector()
    follower = FaceFollower(detector)
    seen = [follower.see(picture(index, 50)) for index in range(90)]
    assert {one.segment for one in seen} == {0}
    assert {(one.box.x, one.box.y) for one in seen if one.box} == {(50, 40)}
    assert detector.n_pictures <= 2 * 16


def test_the_box_glides_after_a_moving_face_without_a_jump() -> None:
    seen = follow([picture(index, 30 + index // 2) for index in range(120)])
    left = np.array([one.box.x if one.box else np.nan for one in seen])
    assert np.isfinite(left).all()
    assert {one.segment for one in seen} == {0}
    assert np.abs(np.diff(left)).max() < 1.5
    assert np.abs(left - (30 + np.arange(120) // 2)).max() < 0.5 * 30


def test_a_face_that_leaves_is_missed_soon_and_another_one_is_new() -> None:
    frames = [picture(i, 50 if i < 45 or i >= 90 else None) for i in range(120)]
    seen = follow(frames)
    assert all(one.box is None for one in seen[45 + 7 : 90])
    assert all(one.box is not None for one in [*seen[:45], *seen[90 + 7 :]])
    assert {one.segment for one in seen[90 + 7 :]} == {1}


def test_a_face_missed_by_one_look_is_still_the_same() -> None:
    seen = follow([picture(i, None if 30 <= i < 36 else 50) for i in range(90)])
    assert any(one.box is None for one in seen[30:42])
    assert {one.segment for one in seen} - {None} == {0}


def test_a_cut_to_another_face_is_seen_at_once() -> None:
    seen = follow(
        [picture(i, 20 if i < 40 else 110, ground=60 if i < 40 else 160) for i in range(80)]
    )
    assert [one.segment for one in seen] == [0] * 40 + [1] * 40
    assert seen[40].box is not None
    assert seen[40].box.x == 110


def test_the_real_face_is_where_the_tracker_sees_it(
    read_video: Callable[[str], list[Frame]], detector: FaceDetector
) -> None:
    frames = read_video("face.mp4")[:90]
    follower = FaceFollower(detector)
    live = [follower.see(frame) for frame in frames]
    for a, b in zip(live, FaceTracker(detector).track(frames), strict=True):
        assert a.box is not None
        assert b.box is not None
        assert a.segment == 0
        assert abs(a.box.centre_x - b.box.centre_x) < 0.1 * b.box.width
        assert abs(a.box.width - b.box.width) < 0.15 * b.box.width


def test_a_damaged_picture_is_not_seen_and_the_face_goes_on() -> None:
    frames = [picture(index, 50) for index in range(30)]
    frames[10:13] = [Frame(None, index / FPS) for index in range(10, 13)]
    seen = follow(frames)
    assert [index for index, one in enumerate(seen) if one.box is None] == [10, 11, 12]
    assert {one.segment for one in seen if one.box is not None} == {0}
