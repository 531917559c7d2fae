"""How far each vital sign may be off, and how likely it is right."""

from dataclasses import dataclass

import numpy as np

from physkit.signal.hrv import HRV
from physkit.signal.respiration import Breathing

LIMITS = {
    "heart_rate_bpm": 3.0,
    "respiration_rate_bpm": 2.0,
    "sdnn_ms": 10.0,
    "rmssd_ms": 16.0,
}
"""By vital sign: an error up to which it counts as right."""
USUAL_RATIO = 0.8
"""RMSSD over SDNN of people at rest; more is taken for noise of the beat times."""
LEAST_MS, SHARE = 2.0, 0.07
"""Error of SDNN and RMSSD without such noise: at least, and as a share of the value."""
LEAST_BPM, WORST_BPM = 0.3, 12.0
"""Error of a heart rate of a signal quality of 1, and what is added at a quality of 0."""
CLEAR_BREATH_BPM, DIM_BREATH_BPM = 0.3, 1.0
"""Error of a respiration rate at a concentration of 1, and of 0."""


@dataclass(frozen=True)
class Certainty:
    """How certain one vital sign is."""

    error: float
    """Expected absolute error, in the unit of the vital sign."""
    confidence: float
    """Chance from 0 to 1 that the error is within `LIMITS`, for a Laplace distribution."""

    @classmethod
    def of(cls, name: str, error: float) -> "Certainty":
        """The certainty of the vital sign called `name`."""
        return cls(error, float(1 - np.exp(-LIMITS[name] / error)))


def certainties(
    *, quality: float, found: HRV | None, breath: Breathing | None
) -> dict[str, Certainty]:
    """The certainty of each vital sign that is shown, by name.

    quality: signal quality behind a heart rate. The constants are fitted to pulses that two
    networks and POS read of synthetic people, and to finger videos (docs/vital-signs.md).
    """
    errors = {"heart_rate_bpm": LEAST_BPM + WORST_BPM * (1 - quality) ** 2}
    if breath is not None:
        dim = 1 - breath.concentration
        errors["respiration_rate_bpm"] = CLEAR_BREATH_BPM + dim * (
            DIM_BREATH_BPM - CLEAR_BREATH_BPM
        )
    if found is not None:
        errors |= _variability_errors_ms(found)
    return {name: Certainty.of(name, error) for name, error in errors.items()}


def _variability_errors_ms(found: HRV) -> dict[str, float]:
    """What noise of the beat times adds if the true ratio is `USUAL_RATIO`.

    White noise of the times of variance v adds 6 v to the square of RMSSD, 2 v to that of SDNN.
    """
    sdnn = found.sdnn_ms
    if found.rmssd_ms is None:
        return {"sdnn_ms": LEAST_MS + 2 * SHARE * sdnn}
    rmssd = found.rmssd_ms
    noise = max(0.0, rmssd**2 - (USUAL_RATIO * sdnn) ** 2) / (1 - USUAL_RATIO**2 / 3)
    added = {
        "sdnn_ms": sdnn - np.sqrt(max(0.0, sdnn**2 - noise / 3)),
        "rmssd_ms": rmssd - np.sqrt(max(0.0, rmssd**2 - noise)),
    }
    value = {"sdnn_ms": sdnn, "rmssd_ms": rmssd}
    return {name: float(LEAST_MS + SHARE * value[name] + added[name]) for name in added}
