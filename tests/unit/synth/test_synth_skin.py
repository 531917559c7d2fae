"""Skin darkens and pulses less as melanin rises."""

import numpy as np
import pytest

from physkit.core.errors import InputError
from physkit.synth.skin import SkinConfig

TYPES = [SkinConfig(fitzpatrick=float(kind)) for kind in range(1, 7)]


def test_more_melanin_is_darker_most_of_all_in_blue() -> None:
    colours = np.stack([skin.colour for skin in TYPES])
    assert (np.diff(colours, axis=0) < 0).all()
    assert (np.diff(colours[:, 2] / colours[:, 0]) < 0).all()


def test_darker_skin_pulses_less() -> None:
    green = [skin.pulsation[1] for skin in TYPES]
    assert (np.diff(green) < 0).all()
    assert green[-1] < 0.8 * green[0]


def test_green_pulses_most_and_red_least() -> None:
    for skin in TYPES:
        red, green, blue = skin.pulsation
        assert green > blue > red > 0


@pytest.mark.parametrize("kind", [0.0, 7.0, float("nan")])
def test_there_are_six_types(kind: float) -> None:
    with pytest.raises(InputError, match="choose 1 to 6"):
        SkinConfig(fitzpatrick=kind)
