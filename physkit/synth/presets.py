"""Presets: distributions of parameters that make recordings as difficult as real data sets."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np

from physkit.core.registry import unknown_name
from physkit.synth.streams import Streams


@dataclass(frozen=True)
class Uniform:
    """A uniform distribution."""

    low: float
    """Least value."""
    high: float
    """Largest value."""

    def draw(self, rng: np.random.Generator) -> float:
        """One value."""
        return float(rng.uniform(self.low, self.high))


@dataclass(frozen=True)
class LogUniform:
    """A log-uniform distribution."""

    low: float
    """Least value."""
    high: float
    """Largest value."""

    def draw(self, rng: np.random.Generator) -> float:
        """One value."""
        return float(np.exp(rng.uniform(np.log(self.low), np.log(self.high))))


@dataclass(frozen=True)
class Graded:
    """Values that are evenly spaced in their logarithm over the recordings of a set.

    So even a few recordings contain easy and difficult ones.
    """

    low: float
    """Least value."""
    high: float
    """Largest value."""

    def at(self, place: float) -> float:
        """The value at a place in the order, 0 to 1."""
        return float(self.low * (self.high / self.low) ** place)


@dataclass(frozen=True)
class Choice:
    """One of several values, with equal probability."""

    values: tuple[Any, ...]
    """The values."""

    def draw(self, rng: np.random.Generator) -> Any:
        """One value."""
        return self.values[int(rng.integers(len(self.values)))]


@dataclass(frozen=True)
class Chance:
    """A distribution that is used with some probability."""

    share: float
    """The probability, 0 to 1."""
    then: Uniform | LogUniform | Choice
    """The distribution."""
    otherwise: float = 0.0
    """The value otherwise."""

    def draw(self, rng: np.random.Generator) -> float:
        """One value."""
        value = self.then.draw(rng)
        return value if rng.uniform() < self.share else self.otherwise


Setting = Any
"""The value of a parameter, or its distribution."""


@dataclass(frozen=True)
class Preset:
    """A data set to resemble."""

    person: Mapping[str, Setting] = field(default_factory=dict)
    """Parameters that are drawn once for each person."""
    session: Mapping[str, Setting] = field(default_factory=dict)
    """Parameters that are drawn for each recording."""
    axes: Mapping[str, Mapping[str, Mapping[str, Setting]]] = field(default_factory=dict)
    """Conditions: column, its values, and the parameters that each sets. Recordings go through all
    combinations in turn."""
    numbered_in: str | None = None
    """Layout in which a session's number is that of its combination, as PURE's is of the task."""

    @property
    def n_combinations(self) -> int:
        """How many combinations of conditions there are."""
        return int(np.prod([len(values) for values in self.axes.values()], dtype=int))

    def combination(self, index: int) -> dict[str, str]:
        """The conditions of one combination, by column; the last column changes fastest."""
        chosen: dict[str, str] = {}
        for column, values in reversed(list(self.axes.items())):
            index, at = divmod(index, len(values))
            chosen[column] = tuple(values)[at]
        return dict(reversed(list(chosen.items())))

    def draw(
        self,
        combination: Mapping[str, str],
        *,
        person: Streams,
        session: Streams,
        place: float,
    ) -> dict[str, Any]:
        """Parameters of one recording by flat name; `place` is that of its graded ones, 0 to 1."""
        settings = [(parameter, value, person) for parameter, value in self.person.items()]
        settings += [(parameter, value, session) for parameter, value in self.session.items()]
        for column, value in combination.items():
            parameters = self.axes[column][value]
            settings += [(parameter, setting, session) for parameter, setting in parameters.items()]
        # A later setting replaces an earlier one. The name of a stream decides its numbers.
        return {
            parameter: _drawn(setting, streams.of(f"dial {parameter}"), place)
            for parameter, setting, streams in settings
        }


def _drawn(setting: Setting, rng: np.random.Generator, place: float) -> Any:
    if isinstance(setting, Graded):
        return setting.at(place)
    if isinstance(setting, Uniform | LogUniform | Choice | Chance):
        return setting.draw(rng)
    return setting


def find_preset(name: str) -> Preset:
    """The preset called `name`; raises UnknownNameError with the nearest name."""
    if name not in PRESETS:
        raise unknown_name("preset", name, PRESETS)
    return PRESETS[name]


PERSON: Mapping[str, Setting] = MappingProxyType(
    {
        "glasses": Choice((False, False, False, True)),
        "beard": Chance(0.2, Uniform(0.3, 0.9)),
        "stiffness": Uniform(0.0, 0.8),
        "dicrotic_strength": Uniform(0.12, 0.32),
        "sinus_arrhythmia": Uniform(0.01, 0.04),
        "variability": Uniform(0.008, 0.02),
        "spo2_percent": Uniform(96.0, 98.5),
        "pulse_strength": Uniform(0.012, 0.022),
        "gloss": Uniform(0.01, 0.06),
    }
)
"""Distributions for a person."""

SESSION: Mapping[str, Setting] = MappingProxyType(
    {
        "respiration_rate_bpm": Uniform(11.0, 19.0),
        "respiration_amplitude": Uniform(0.05, 0.15),
        "respiration_baseline": Uniform(0.05, 0.15),
        "face_size": Uniform(0.19, 0.24),
        "place_x": Uniform(-0.05, 0.05),
        "place_y": Uniform(-0.05, 0.0),
        "lamp_side": Uniform(-0.6, 0.6),
        "lamp_height": Uniform(0.2, 0.6),
        "temperature_k": Uniform(4000.0, 6500.0),
    }
)
"""Distributions for a recording."""

CLEAN = Preset(
    person={**PERSON, "fitzpatrick": Uniform(1.0, 6.0)},
    session={**SESSION, "heart_rate_bpm": Uniform(45.0, 180.0)},
)

UBFC = Preset(
    person={**PERSON, "fitzpatrick": Uniform(1.0, 4.0)},
    session={
        **SESSION,
        "heart_rate_bpm": Uniform(65.0, 125.0),
        "finger_lag_s": Uniform(0.0, 0.05),
        "sway": Graded(0.0046, 0.069),
        "sway_high_hz": Uniform(1.6, 2.4),
    },
)

PURE = Preset(
    person={**PERSON, "fitzpatrick": Uniform(1.0, 3.0)},
    session={
        **SESSION,
        "heart_rate_bpm": LogUniform(54.0, 112.0),
        "finger_lag_s": Uniform(0.0, 0.05),
        "sway": LogUniform(0.01, 0.05),
        "sway_high_hz": Uniform(0.5, 1.5),
        "jitter_s": 0.001,
        "dropped": Choice((0.0, 0.0, 0.004)),
    },
    axes={
        "task": {
            "steady": {},
            "talking": {"talking": 1.0, "talk_nod_deg": 1.8},
            "slow translation": {"travel": 0.75, "travel_speed": 0.3},
            "fast translation": {"travel": 0.75, "travel_speed": 0.5},
            "small rotation": {"look_deg": 15.0},
            "medium rotation": {"look_deg": 26.0},
        }
    },
    numbered_in="pure",
)

MMPD = Preset(
    person={**PERSON, "fitzpatrick": Choice((3.0, 4.0, 5.0, 6.0))},
    session={
        **SESSION,
        "heart_rate_bpm": Uniform(58.0, 110.0),
        "finger_lag_s": Uniform(0.0, 0.05),
        "recovery_bpm": Chance(0.2, Uniform(10.0, 30.0)),
        "face_size": Uniform(0.24, 0.30),
        "makeup_cover": Chance(0.15, Uniform(0.1, 0.5)),
        "fringe": Chance(0.2, Uniform(0.3, 1.0)),
        "noise": 0.01,
        "compression": "h264",
        "quality": Choice((33, 34, 35, 36)),
        "exposure_steps_per_min": Uniform(0.0, 6.0),
        "exposure_step": 0.03,
    },
    axes={
        "light": {
            "LED-low": {"level": 0.4, "temperature_k": 4500.0, "noise": 0.02},
            "LED-high": {"temperature_k": 4500.0},
            "Incandescent": {"temperature_k": 2900.0},
            "Nature": {"temperature_k": 6500.0},
        },
        "motion": {
            "Stationary": {},
            "Rotation": {"look_deg": 22.0},
            "Talking": {"talking": 1.0, "talk_nod_deg": 3.0},
            "Walking": {"bounce": 0.12, "step_nod_deg": 2.0},
            "Watching Videos": {"screen": 0.012},
        },
    },
)

VARIED = Preset(
    person={
        **PERSON,
        "fitzpatrick": Uniform(1.0, 6.0),
        "pulse_strength": LogUniform(0.008, 0.024),
        "perfusion_spread": Uniform(0.05, 0.5),
        "delay_spread_s": Uniform(0.0, 0.04),
        "smoothing_s": Uniform(0.03, 0.06),
        "surface": LogUniform(0.008, 0.03),
        "variability": Uniform(0.008, 0.04),
        "makeup_cover": Chance(0.1, Uniform(0.1, 0.4)),
        "fringe": Chance(0.2, Uniform(0.3, 1.0)),
    },
    session={
        **SESSION,
        "heart_rate_bpm": Uniform(40.0, 180.0),
        "recovery_bpm": Chance(0.1, Uniform(5.0, 20.0)),
        "respiration_amplitude": Uniform(0.02, 0.2),
        "respiration_baseline": Uniform(0.0, 0.2),
        "face_size": Uniform(0.2, 0.34),
        "lamp_side": Uniform(-1.0, 1.0),
        "lamp_height": Uniform(0.0, 1.0),
        "lamp_share": Uniform(0.2, 0.8),
        "temperature_k": LogUniform(2700.0, 7500.0),
        "around_temperature_k": LogUniform(3500.0, 7500.0),
        "white_balance": Uniform(0.6, 1.0),
        "level": LogUniform(0.35, 1.1),
        "drift": LogUniform(0.002, 0.03),
        "gusts": Chance(0.3, LogUniform(0.002, 0.03)),
        "flicker": Chance(0.15, LogUniform(0.002, 0.015)),
        "flicker_hz": Uniform(0.3, 8.0),
        "screen": Chance(0.15, LogUniform(0.002, 0.015)),
        "sway": LogUniform(0.003, 0.07),
        "sway_high_hz": LogUniform(0.2, 2.4),
        "roll_deg": LogUniform(0.1, 1.5),
        "zoom": LogUniform(0.001, 0.012),
        "turn_deg": LogUniform(0.2, 4.0),
        "nod_deg": LogUniform(0.2, 3.0),
        "talking": Chance(0.25, Uniform(0.2, 1.0)),
        "talk_nod_deg": Uniform(0.5, 3.0),
        "look_deg": Chance(0.2, Uniform(5.0, 25.0)),
        "bounce": Chance(0.15, LogUniform(0.02, 0.12)),
        "step_nod_deg": Uniform(0.0, 2.0),
        "step_hz": Uniform(1.4, 2.4),
        "blinks_per_min": Uniform(5.0, 30.0),
        "gamma": Uniform(1.7, 2.5),
        "noise": LogUniform(0.002, 0.025),
        "blur_px": Uniform(0.3, 1.2),
        "exposure_steps_per_min": Chance(0.4, Uniform(1.0, 8.0)),
        "exposure_step": LogUniform(0.01, 0.06),
        "dropped": Chance(0.2, Choice((0.01, 0.05, 0.3))),
        "jitter_s": Chance(0.3, Uniform(0.0005, 0.004)),
    },
    axes={
        "codec": {
            "none": {},
            "mjpeg": {"compression": "mjpeg", "quality": Choice((60, 75, 85, 95))},
            "h264-fine": {"compression": "h264", "quality": Choice((36, 38, 40, 42))},
            "h264-coarse": {"compression": "h264", "quality": Choice((29, 31, 33, 35))},
        }
    },
)

PRESETS: Mapping[str, Preset] = MappingProxyType(
    {
        "clean": CLEAN,
        "ubfc-like": UBFC,
        "pure-like": PURE,
        "mmpd-like": MMPD,
        "varied": VARIED,
    }
)
"""All presets by name."""
