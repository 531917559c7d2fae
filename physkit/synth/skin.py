"""Reflectance of skin: melanin over blood, and a surface that reflects without either."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from physkit.core.errors import InputError

BLOODLESS_ALBEDO = (0.79, 0.515, 0.40)
"""Linear reflectance in R, G, B of skin without melanin."""
MELANIN_COLOUR = (1.0, 1.25, 1.45)
"""Relative absorption of melanin in R, G, B: it rises towards blue."""
MELANIN_BY_TYPE = (0.0, 0.10, 0.32, 0.62, 1.29, 2.14)
"""Absorbance of the melanin of Fitzpatrick types 1 to 6, in red, both ways through it."""
PULSE_COLOUR = (0.42, 1.0, 0.72)
"""Relative pulsation in R, G, B: haemoglobin absorbs green most. After de Haan and van Leest 2014,
"Improved motion robustness of remote-PPG by using the blood volume pulse signature"."""


@dataclass(frozen=True)
class SkinConfig:
    """The person's skin and its pulsation."""

    fitzpatrick: float = 3.0
    """Skin type, 1 (pale) to 6 (deeply pigmented); fractions lie between."""
    pulse_strength: float = 0.016
    """Relative darkening of green light in the skin by one beat where perfusion is strongest."""
    surface: float = 0.015
    """Reflectance of the rough surface, without blood; its share is larger in dark skin."""
    gloss: float = 0.05
    """Reflectance of oily highlights, which move with the light and do not pulse."""
    perfusion_spread: float = 0.15
    """How patchy the perfusion is, from 0 (even) to 1."""
    delay_spread_s: float = 0.02
    """Time in seconds by which the pulse comes later at the chin than at the forehead."""
    smoothing_s: float = 0.04
    """Width in seconds of the smoothing of the pulse by small vessels."""

    def __post_init__(self) -> None:
        if not 1 <= self.fitzpatrick <= 6:
            raise InputError(f"Fitzpatrick type {self.fitzpatrick}: choose 1 to 6")

    @property
    def albedo(self) -> Float[np.ndarray, "3"]:
        """Linear reflectance in R, G, B of light that went through the skin."""
        types = np.arange(1, 7)
        melanin = np.interp(self.fitzpatrick, types, MELANIN_BY_TYPE)
        return np.asarray(BLOODLESS_ALBEDO * np.exp(-melanin * np.array(MELANIN_COLOUR)))

    @property
    def colour(self) -> Float[np.ndarray, "3"]:
        """Linear reflectance in R, G, B of skin and surface together."""
        return np.asarray(self.albedo + self.surface)

    @property
    def pulsation(self) -> Float[np.ndarray, "3"]:
        """Relative darkening in R, G, B of all reflected light by one beat."""
        return np.asarray(self.pulse_strength * np.array(PULSE_COLOUR) * self.albedo / self.colour)
