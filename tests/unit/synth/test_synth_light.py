"""Lamps shine in their colour, drift, flicker, and screens change."""

import numpy as np
import pytest

from physkit.core.errors import InputError
from physkit.synth.light import LightConfig, Lighting, lighting, white
from physkit.synth.streams import Streams

TIMES_S = np.arange(0, 60, 1 / 30)


def lit(**parameters: float) -> Lighting:
    return lighting(TIMES_S, config=LightConfig(**parameters), streams=Streams(1))


def test_warm_light_is_red_and_cold_light_blue() -> None:
    (warm_red, _, warm_blue), (cold_red, _, cold_blue) = white(2900.0), white(9000.0)
    assert warm_red > 1 > warm_blue
    assert cold_red < 1 < cold_blue


@pytest.mark.parametrize("temperature_k", [0.0, 1000.0, 1e5, float("nan")])
def test_no_lamp_is_that_hot_or_cold(temperature_k: float) -> None:
    with pytest.raises(InputError, match="kelvin"):
        LightConfig(temperature_k=temperature_k)


def test_white_balance_takes_the_lamps_colour_out() -> None:
    for balance, spread in ((1.0, 0.0), (0.0, np.ptp(white(3000.0)))):
        light = lit(temperature_k=3000.0, white_balance=balance, lamp_share=1.0, drift=0.0)
        assert np.ptp(light.lamp[0]) == pytest.approx(spread, abs=1e-9)


def test_drift_is_as_strong_as_its_dial() -> None:
    light = lit(drift=0.02)
    assert light.lamp[:, 1].std() / light.lamp[:, 1].mean() == pytest.approx(0.02, rel=0.5)


def test_flicker_beats_at_its_frequency() -> None:
    lamp = lit(drift=0.0, flicker=0.03, flicker_hz=1.7).lamp[:, 1]
    spectrum = np.abs(np.fft.rfft(lamp - lamp.mean()))
    assert np.fft.rfftfreq(len(lamp), 1 / 30)[spectrum.argmax()] == pytest.approx(1.7, abs=0.02)


def test_a_screen_changes_in_colour_and_never_goes_out() -> None:
    screen = lit(screen=0.1).screen
    assert screen.min() > 0
    ratio = screen[:, 0] / screen[:, 2]
    assert ratio.std() / ratio.mean() > 0.1


def test_a_screen_does_not_change_the_lamp() -> None:
    np.testing.assert_array_equal(lit().lamp, lit(screen=0.3).lamp)
