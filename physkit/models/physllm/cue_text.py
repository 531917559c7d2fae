"""What the language model is told in words of the task, and of a clip's rough pulse."""

from typing import Literal

import numpy as np
from jaxtyping import Float

TASK = (
    "Task: recover the blood volume pulse of a person from a video of the face. Each heartbeat "
    "changes the colour of the skin by a fraction of one grey level, between 40 and 180 times a "
    "minute. A rough pulse and features of the video follow; refine the pulse. What makes videos "
    "differ: the tone of the skin, ethnic origin, sex and age of the person, and the light."
)
OTHER_TASK = (
    "Task: predict how much electricity a town will use in the next hours from its use so far. "
    "Use rises in the morning and on cold days, falls at night, and is about half on holidays. "
    "What makes towns differ: their climate, their industry, and how people heat."
)
"""What a control is told of the task instead."""
LAG_RANGE_S = (0.3, 1.5)
"""Seconds from one beat to the next, at 200 and 40 bpm."""
N_LAGS = 3
"""Strongest lags that are said; the paper says five."""
N_PAPER_LAGS = 5


def statistics_cue(
    pulse: Float[np.ndarray, "t"], *, fps: float, lags: Literal["heart_rate", "all"]
) -> str:
    """A sentence on a rough pulse of unit deviation: its range, trend and strongest lags.

    lags: heart_rate looks for repetitions from 0.3 to 1.5 s; all takes the largest values of the
    autocorrelation, as the paper does, wherever they are.
    """
    change = float(pulse[-1] - pulse[0])  # the sum of all changes
    direction = "upward" if change > 0 else "downward"
    told = (
        f"Rough pulse: minimum {pulse.min():.2f}, maximum {pulse.max():.2f}, median "
        f"{np.median(pulse):.2f}, trend {change:+.2f}, {direction}. "
    )
    if lags == "all":
        top = _largest(_circular(pulse), N_PAPER_LAGS)
        return told + f"Strongest lags: {', '.join(map(str, top))} samples."
    found = repetitions(pulse, fps=fps)
    if not found:
        return told + "No repetition in the range of heart rates."
    words = [f"{lag_s:.2f} s, {60 / lag_s:.0f} beats a minute" for lag_s in found]
    return told + f"Strongest repetitions: {'; '.join(words)}."


def repetitions(pulse: Float[np.ndarray, "t"], *, fps: float) -> list[float]:
    """Lags in seconds, from 0.3 to 1.5, at which a pulse is most like itself; strongest first."""
    n = len(pulse)
    even = pulse - pulse.mean()
    power = np.abs(np.fft.rfft(even, 2 * n)) ** 2  # twice as long: its end does not meet its start
    likeness = np.fft.irfft(power)[:n]
    low, high = (round(seconds * fps) for seconds in LAG_RANGE_S)
    lags = np.arange(max(low, 1), min(high, n - 2) + 1)
    peaks = lags[
        (likeness[lags] >= likeness[lags - 1])
        & (likeness[lags] > likeness[lags + 1])
        & (likeness[lags] > 0)
    ]
    strongest = peaks[np.argsort(-likeness[peaks], kind="stable")][:N_LAGS]
    return [float(lag / fps) for lag in strongest]


def _circular(pulse: Float[np.ndarray, "t"]) -> Float[np.ndarray, "t"]:
    spectrum = np.fft.rfft(pulse)
    return np.fft.irfft(spectrum * spectrum.conj(), len(pulse))


def _largest(values: Float[np.ndarray, "t"], n: int) -> list[int]:
    return [int(place) for place in np.argsort(-values, kind="stable")[:n]]
