"""Mean skin colour over time, the one thing that classical methods see of a face."""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from physkit.core.errors import InputError

ROUNDING = 1e-9
"""Relative colour change below which a trace is constant and its variation rounding noise."""


def mean_colour(clip: Float[Tensor, "b t h w 3"]) -> Float[np.ndarray, "b t 3"]:
    """Spatial mean of each frame in RGB, in float64 so that chunks and steps give equal means."""
    return clip.detach().mean(dim=(2, 3), dtype=torch.float64).cpu().numpy()


def frame_steps_s(dt_s: Float[Tensor, "b t"]) -> Float[np.ndarray, "b t"]:
    """Seconds between frames in float64. Raises InputError where one is negative or not finite."""
    steps_s = dt_s.detach().to(torch.float64).cpu().numpy()
    if not (np.isfinite(steps_s) & (steps_s >= 0)).all():
        raise InputError("frame times run backwards or are not finite: sort or drop those frames")
    return steps_s


def relative_change(colours: Float[np.ndarray, "t 3"]) -> Float[np.ndarray, "t 3"]:
    """Each channel over its own mean, less 1: what light and skin tone scale is divided out.

    A black channel (mean 0) has no relative change and gives zeros.
    """
    mean = colours.mean(axis=0)
    change = np.zeros_like(colours)
    np.divide(colours - mean, mean, out=change, where=mean > 0)
    change[:, change.std(axis=0) < ROUNDING] = 0.0
    return change


def spread_ratio(numerator: Float[np.ndarray, "t"], denominator: Float[np.ndarray, "t"]) -> float:
    """Standard deviation of one signal over another's; 0 where the other is constant."""
    spread = float(denominator.std())
    return float(numerator.std()) / spread if spread > ROUNDING else 0.0


def green_beside(
    direction: Float[np.ndarray, "3"], colours: Float[np.ndarray, "t 3"]
) -> Float[np.ndarray, "t"]:
    """The green channel once colours are projected beside a unit `direction` of colour space."""
    projected = colours[:, 1] - (colours @ direction) * direction[1]
    constant = bool((colours.std(axis=0) <= ROUNDING * colours.mean(axis=0)).all())
    return np.zeros_like(projected) if constant else projected
