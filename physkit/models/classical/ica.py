"""ICA: independent components of the colours. Poh et al. 2010, 2011."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from physkit.models.classical.clock import bandpass_on_clock, even_times_s, mean_rate_hz
from physkit.models.classical.colour import ROUNDING, relative_change
from physkit.models.classical.jade import jade
from physkit.models.classical.whole_clip import WholeClip
from physkit.signal.filters import detrend


@dataclass(frozen=True)
class ICAConfig:
    """What ICA can be asked to do differently; the defaults are rPPG-Toolbox's."""

    smoothness: float = 100.0
    """Regularisation of the smoothness-priors detrending before the unmixing."""
    low_hz: float = 0.7
    """Lower edge in Hz of the band in which the pulse is looked for."""
    high_hz: float = 2.5
    """Upper edge of that band in Hz."""
    order: int = 3
    """Order of the Butterworth band-pass of the chosen component."""


class ICA(WholeClip):
    """The independent component with the sharpest spectral peak in the band of the pulse.

    Channels are detrended and standardised, unmixed by JADE, and the chosen component is
    band-passed. ICA leaves its sign open: it is set against green relative to red and blue, which
    falls as blood volume rises. Poh, McDuff & Picard 2010, "Non-contact, automated cardiac pulse
    measurements using video imaging and blind source separation", and 2011, "Advancements in
    noncontact, multiparameter physiological measurements using a webcam".
    """

    def __init__(self, config: ICAConfig | None = None) -> None:
        super().__init__()
        self.config = ICAConfig() if config is None else config

    def clip_pulse(
        self, colours: Float[np.ndarray, "t 3"], times_s: Float[np.ndarray, "t"]
    ) -> Float[np.ndarray, "t"]:
        """Pulse of one clip; zeros where no colour changes or time stands still."""
        fps, clock_s = mean_rate_hz(times_s), even_times_s(times_s)
        channels = np.stack(
            [
                self._standardised(np.interp(clock_s, times_s, change))
                for change in relative_change(colours).T
            ]
        )
        if not channels.any() or fps == 0:
            return np.zeros(len(colours))
        sources = jade(channels)
        sharpness = [self._peak_share(source, fps) for source in sources]
        source = self._filtered(sources[int(np.argmax(sharpness))], clock_s)
        chroma = self._filtered(channels[1] - (channels[0] + channels[2]) / 2, clock_s)
        sign = -1.0 if float(source @ chroma) > 0 else 1.0
        return np.asarray(np.interp(times_s, clock_s, sign * source))

    def _standardised(self, channel: Float[np.ndarray, "t"]) -> Float[np.ndarray, "t"]:
        """The channel without its slow drift, at zero mean and unit variance; zeros if constant."""
        level = detrend(channel, smoothness=self.config.smoothness)
        level = level - level.mean()
        spread = float(level.std())
        return level / spread if spread > ROUNDING else np.zeros_like(level)

    def _peak_share(self, source: Float[np.ndarray, "t"], fps: float) -> float:
        """Part of a source's power that lies in its highest bin inside the band."""
        power = np.abs(np.fft.rfft(source)) ** 2
        frequency_hz = np.fft.rfftfreq(len(source), 1.0 / fps)
        inside = (frequency_hz >= self.config.low_hz) & (frequency_hz <= self.config.high_hz)
        total = float(power.sum())
        return float(power[inside].max()) / total if inside.any() and total > 0 else 0.0

    def _filtered(
        self, x: Float[np.ndarray, "t"], times_s: Float[np.ndarray, "t"]
    ) -> Float[np.ndarray, "t"]:
        """The signal within the configured band."""
        return bandpass_on_clock(
            x,
            times_s,
            low_hz=self.config.low_hz,
            high_hz=self.config.high_hz,
            order=self.config.order,
        )
