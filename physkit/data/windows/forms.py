"""The forms in which models take frames and labels, one window at a time.

rPPG-Toolbox applies the same formulas to a whole recording before it cuts windows; for the same
statistics here, let one window be the whole recording. Liu et al. 2023.
"""

import math

import numpy as np
from jaxtyping import Float, Float32, UInt8

from physkit.data.windows.config import FrameForm, LabelForm

WHITE = 255.0
ROUNDING = 1e-6
"""A variance that is a smaller share of the mean square is rounding."""


def frames_in_form(
    frames: UInt8[np.ndarray, "t h w 3"] | Float32[np.ndarray, "t h w 3"], form: FrameForm
) -> UInt8[np.ndarray, "t h w 3"] | Float32[np.ndarray, "t h w 3"]:
    """Frames of grey levels 0 to 255 in one of the forms.

    raw: float32 in [0, 1]. uint8: grey levels, rounded. standardised: less the mean and over the
    standard deviation of all values of the window. diff: (x[t+1] - x[t]) / (x[t+1] + x[t]) over the
    standard deviation of all its values, with a last frame of zeros. A window without any
    change is all zeros in the last two.
    """
    if form == "uint8":
        return frames if frames.dtype == np.uint8 else np.rint(frames).astype(np.uint8)
    grey = np.asarray(frames, np.float32)
    if form == "raw":
        return grey * np.float32(1 / WHITE)
    if form == "standardised":
        centred = grey - np.float32(_mean(grey))
        centred *= np.float32(_inverse_deviation(centred))
        return centred
    import torch  # here: nothing else in this room needs it

    from physkit.ops.normalised_difference import normalised_difference

    return np.asarray(normalised_difference(torch.tensor(grey), white=WHITE).numpy())


def label_in_form(
    label: Float[np.ndarray, "t"], form: LabelForm
) -> Float32[np.ndarray, "t"] | None:
    """A label in one of the forms, or None where it is flat and the form needs it not to be.

    raw: as measured. standardised: less its mean and over its standard deviation. diff:
    differences over their standard deviation, with a last zero.
    """
    if form == "raw":
        return label.astype(np.float32)
    values = label - label.mean() if form == "standardised" else np.diff(label)
    deviation = values.std() if values.size else 0.0
    # a constant's rounding errors are no pulse
    if not deviation > np.finfo(np.float32).eps * np.abs(label).max(initial=0.0):
        return None
    scaled = (values / deviation).astype(np.float32)
    return scaled if form == "standardised" else np.append(scaled, np.float32(0))


def _mean(values: Float32[np.ndarray, "t h w 3"]) -> float:
    """Mean of all values; 0 of none."""
    # sums of single frames in float32, their sum in float64: exact enough, and without a copy
    return float(values.sum(axis=(1, 2, 3)).sum(dtype=np.float64)) / max(values.size, 1)


def _inverse_deviation(values: Float32[np.ndarray, "t h w 3"]) -> float:
    """One over the standard deviation of all values, whose mean is near 0; 0 where they are one."""
    squares = np.einsum("thwc,thwc->t", values, values)
    mean_square = float(squares.sum(dtype=np.float64)) / max(values.size, 1)
    variance = mean_square - _mean(values) ** 2
    return 1 / math.sqrt(variance) if variance > ROUNDING * mean_square else 0.0
