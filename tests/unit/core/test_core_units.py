"""Durations of frames, by the one rule that every path follows."""

import numpy as np
import pytest

from physkit.core.units import NOMINAL_DT_S, frame_durations_s


def durations(times_s: list[float], before_s: float | None = None) -> tuple[list, list]:
    dt_s, is_new = frame_durations_s(np.array(times_s), before_s=before_s)
    return dt_s.tolist(), is_new.tolist()


def test_the_first_frame_of_a_stretch_lasts_like_its_second() -> None:
    dt_s, is_new = durations([1.0, 1.04, 1.09, 11.0, 11.02])
    assert dt_s == pytest.approx([0.04, 0.04, 0.05, 0.02, 0.02])
    assert is_new == [True, False, False, True, False]


def test_a_stretch_goes_on_from_the_frame_before() -> None:
    dt_s, is_new = durations([1.0, 1.04], before_s=0.9)
    assert dt_s == pytest.approx([0.1, 0.04])
    assert is_new == [False, False]
    assert durations([1.0, 1.04], before_s=0.4)[1] == [True, False]


def test_a_frame_alone_lasts_the_nominal_time() -> None:
    assert durations([5.0]) == ([NOMINAL_DT_S], [True])
    assert durations([5.0, 6.0])[0] == [NOMINAL_DT_S, NOMINAL_DT_S]
    assert durations([]) == ([], [])
