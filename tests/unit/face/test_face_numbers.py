"""Which faces of a video may be one person."""

import numpy as np
import pytest
from spot_detector import SpotDetector

from physkit.face.follow import FaceFollower
from physkit.face.track import FaceTracker
from physkit.media.frames import Frame
from physkit.synth.plan import plan_recording

FPS = 30.0
LEFT, RIGHT = (10, 40, 30), (110, 40, 30)


def frame(index: int, spot: tuple[int, int, int] | None, *, ground: int = 60) -> Frame:
    rgb = np.full((120, 160, 3), ground, np.uint8)
    if spot is not None:
        x, y, side = spot
        rgb[y : y + side, x : x + side, 0] = 250
    return Frame(rgb, index / FPS)


def numbers(frames: list[Frame], how: str) -> list[int | None]:
    detector = SpotDetector()
    if how == "live":
        follower = FaceFollower(detector)
        return [follower.see(one).face_number for one in frames]
    return [one.face_number for one in FaceTracker(detector).track(frames)]


@pytest.mark.parametrize("how", ["tracked", "live"])
@pytest.mark.parametrize(
    ("place", "gap_s", "number"),
    [(LEFT, 1.0, 0), (LEFT, 4.0, 0), (LEFT, 7.0, 1), (RIGHT, 1.0, 1), (RIGHT, 0.0, 1)],
)
def test_a_face_found_again_in_its_place_is_the_same(how, place, gap_s: float, number: int) -> None:
    gap = round(gap_s * FPS)
    spots = [LEFT] * 30 + [None] * gap + [place] * 30
    found = numbers([frame(i, spot) for i, spot in enumerate(spots)], how)
    assert found[0] == 0
    assert found[-1] == number


@pytest.mark.parametrize("how", ["tracked", "live"])
def test_a_moment_on_another_face_does_not_renumber_the_first(how: str) -> None:
    spots = [LEFT] * 30 + [RIGHT] * 20 + [LEFT] * 30
    found = numbers([frame(i, spot) for i, spot in enumerate(spots)], how)
    assert {found[0], found[-1]} == {0}
    assert found[45] == 1


@pytest.mark.parametrize("how", ["tracked", "live"])
def test_after_a_cut_a_face_in_the_same_place_is_another(how: str) -> None:
    frames = [frame(i, LEFT, ground=60 if i < 30 else 120) for i in range(60)]
    assert numbers(frames, how) == [0] * 30 + [1] * 30


@pytest.mark.parametrize("people", [(3, 1), (8, 9)])
def test_a_cut_between_two_people_before_one_wall_is_seen(people: tuple[int, int]) -> None:
    from physkit.face.cuts import CutFinder

    finder, cuts = CutFinder(25.0), []
    for subject in people:
        plan = plan_recording(
            "clean",
            layout="ubfc",
            seed=5,
            subject=subject,
            turn=0,
            duration_s=3.0,
            width=160,
            height=120,
            fps=10.0,
        )
        cuts += [finder.is_cut(seen.picture) for seen in plan.synthesis().frames()]
    assert np.flatnonzero(cuts).tolist() == [30]
