"""Trend removal and band-pass filtering of one uniformly sampled signal."""

import functools

import numpy as np
from jaxtyping import Float
from scipy.linalg import solveh_banded
from scipy.signal import butter, filtfilt, sosfiltfilt


def detrend(x: Float[np.ndarray, "t"], *, smoothness: float = 100.0) -> Float[np.ndarray, "t"]:
    """The signal without its slow trend, in the units of `x`.

    x - (I + smoothness² DᵀD)⁻¹ x with D the second difference. The matrix has five diagonals, so
    the cost grows linearly with the length. Fewer than three samples are all trend.
    Tarvainen et al. 2002.
    """
    n = x.shape[0]
    x = x.astype(np.float64)
    if n < 3:
        return np.zeros(n)
    difference = np.ones((3, n - 2)) * np.array([[1.0], [-2.0], [1.0]])
    upper = np.zeros((3, n))
    for lag in range(3):
        for row in range(3 - lag):
            # (DᵀD)[i, i + lag] collects the products of two entries of one row of D
            upper[2 - lag, row + lag : row + lag + n - 2] += difference[row] * difference[row + lag]
    system = smoothness**2 * upper
    system[2] += 1.0
    return np.asarray(x - solveh_banded(system, x, check_finite=False))


def smoothness_of_cutoff(cutoff_hz: float, *, fps: float) -> float:
    """The `smoothness` with which `detrend` halves a sinusoid of `cutoff_hz` sampled at `fps`."""
    return float((2.0 * np.sin(np.pi * cutoff_hz / fps)) ** -2)


def bandpass(
    x: Float[np.ndarray, "t"], *, fps: float, low_hz: float, high_hz: float, order: int = 1
) -> Float[np.ndarray, "t"]:
    """Butterworth band-pass, forward and backward (zero phase), with SciPy's odd padding.

    Needs more than 3 (2 order + 1) samples and high_hz under fps / 2; SciPy raises ValueError
    otherwise.
    """
    b, a = _butterworth(order, low_hz / fps * 2, high_hz / fps * 2)
    return np.asarray(filtfilt(b, a, x.astype(np.float64)))


def lowpass(
    x: Float[np.ndarray, "t"], *, fps: float, cutoff_hz: float, order: int = 6
) -> Float[np.ndarray, "t"]:
    """Butterworth low-pass, forward and backward (zero phase), its ends padded oddly.

    Amplitudes are halved at `cutoff_hz`, which must be under fps / 2; SciPy raises ValueError
    otherwise.
    """
    sections = butter(order, cutoff_hz, fs=fps, output="sos")
    padding = min(x.shape[0] - 1, int(np.ceil(3 * fps / cutoff_hz)))
    return np.asarray(sosfiltfilt(sections, x.astype(np.float64), padlen=padding))


@functools.lru_cache(maxsize=16)  # the design costs more than the filtering of a short window
def _butterworth(
    order: int, low: float, high: float
) -> tuple[Float[np.ndarray, "k"], Float[np.ndarray, "k"]]:
    b, a = butter(order, [low, high], btype="bandpass")
    return b, a
