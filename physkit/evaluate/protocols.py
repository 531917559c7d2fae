"""Named evaluation protocols: every setting that a metric depends on."""

from dataclasses import dataclass
from typing import Literal

from physkit.core.registry import NAMES, unknown_name
from physkit.core.units import SnrKind

HeartRateMethod = Literal["fft", "peak"]
"""The strongest frequency, or the mean interval between beats."""


@dataclass(frozen=True)
class Protocol:
    """The settings by which predictions are scored."""

    name: str
    """Its name in results."""
    low_hz: float
    """Lower edge of the band-pass, and lowest heart rate that is found, in Hz."""
    high_hz: float
    """Upper edge of both, in Hz."""
    snr: SnrKind
    """How the signal-to-noise ratio is expressed in dB."""
    rmse_error: Literal["std", "sqrt"]
    """Standard error of the RMSE: std(e²) / sqrt n, or the square root of that."""
    heart_rate: Literal["toolbox", "physkit"]
    """rPPG-Toolbox's estimators on the samples as they come, or physkit's on the true clock."""
    bland_altman_factor: float
    """Limits of agreement in standard deviations of the difference."""
    default_window_s: float | None = None
    """Default window; None is the whole recording."""
    step_s: float | None = None
    """Step of sliding windows; None: windows do not overlap, and a shorter last one is kept."""


# rPPG-Toolbox draws its limits for averaged observations, sqrt 2 wider than the standard ones
_TOOLBOX_LIMITS = 1.96 * 2**0.5

PROTOCOLS = {
    protocol.name: protocol
    for protocol in (
        Protocol("toolbox-2023", 0.75, 2.5, "20log10", "std", "toolbox", _TOOLBOX_LIMITS),
        Protocol(
            "toolbox-2024-06", 0.75, 2.5, "10log10-squared", "std", "toolbox", _TOOLBOX_LIMITS
        ),
        Protocol("toolbox-2024-12", 0.75, 2.5, "10log10", "std", "toolbox", _TOOLBOX_LIMITS),
        Protocol("toolbox-2025-03", 0.6, 3.3, "10log10", "sqrt", "toolbox", _TOOLBOX_LIMITS),
        Protocol("physllm", 0.75, 2.5, "10log10-squared", "sqrt", "toolbox", _TOOLBOX_LIMITS),
        Protocol("physkit-1", 0.6, 3.3, "10log10", "sqrt", "physkit", 1.96, 30.0, 1.0),
    )
}
"""All protocols by name. Liu et al. 2023 for rPPG-Toolbox; `physkit-1` is this project's."""
NAMES["protocol"] = PROTOCOLS


def find_protocol(name: str) -> Protocol:
    """The protocol called `name`; raises UnknownNameError with the nearest name."""
    if name not in PROTOCOLS:
        raise unknown_name("protocol", name, PROTOCOLS)
    return PROTOCOLS[name]
