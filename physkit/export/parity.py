"""How far a deployed network is from the definition, and how far it may be."""

import copy
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from physkit.core.artifact import ArtifactCard, Order
from physkit.core.types import Pulse
from physkit.models.facephys.network import FacePhys, FacePhysState
from physkit.models.facephys.stream import FacePhysStream
from physkit.signal.reading import read_pulse


@dataclass(frozen=True)
class Limits:
    """What an artifact is held to; None where a figure is not."""

    max_error: float | None
    """Largest difference of any sample from float64."""
    correlation: float
    """Least correlation of the waveforms."""
    heart_rate_bpm: float
    """Largest difference of the heart rates in beats per minute."""
    state_drift: float
    """Largest `Parity.state_drift`."""


LIMITS: Mapping[str, Limits] = MappingProxyType(
    {
        "fp32": Limits(2e-4, correlation=0.999999, heart_rate_bpm=0.05, state_drift=1e-3),
        "fp16": Limits(None, correlation=0.999, heart_rate_bpm=0.3, state_drift=1.0),
        "int8": Limits(None, correlation=0.9995, heart_rate_bpm=0.3, state_drift=1.0),
    }
)
"""By precision; states kept in half precision are held to what fp16 is, where that is less."""
DRAWN_CORRELATION = 0.995
"""All that is asked of int8, or of half-precision states, on a drawn face: it is like no face that
the statistics begin with, and rounding the first seconds, while they settle, costs the most."""


@dataclass(frozen=True, eq=False)
class Reference:
    """What the network's definition answers in float64."""

    pulse: Float[np.ndarray, "t"]
    """One sample a frame."""
    states: Mapping[int, FacePhysState]
    """States after so many frames."""
    timestamps_s: Float[np.ndarray, "t"]
    """Of the frames."""

    def first(self, n_frames: int) -> "Reference":
        """Of the first frames alone."""
        return replace(self, pulse=self.pulse[:n_frames], timestamps_s=self.timestamps_s[:n_frames])


@dataclass(frozen=True)
class Parity:
    """One artifact against float64 torch, frame by frame."""

    artifact: str
    """Name of the file."""
    runtime: str
    """What ran it."""
    precision: str
    """Of its card, with that of the states where it is another."""
    n_frames: int
    """Frames compared."""
    max_error: float
    """Largest difference of any sample; the pulse's own standard deviation is about 1."""
    rms_error: float
    """Root mean square of the differences."""
    correlation: float
    """Pearson's, of the waveforms."""
    heart_rate_bpm: float | None
    """Read off the artifact's waveform, in beats per minute."""
    heart_rate_error_bpm: float | None
    """Its difference from that of the reference; None where either has none."""
    state_drift: Mapping[int, float]
    """After so many frames: root mean square of a state's difference over that of the state, of
    the worst state."""
    failures: tuple[str, ...]
    """Limits that it breaks."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; None for a figure that is NaN or infinite."""

        def told(value: Any) -> Any:
            if isinstance(value, Mapping):
                return {str(key): told(each) for key, each in value.items()}
            is_number = isinstance(value, float)
            return None if is_number and not math.isfinite(value) else value

        return {field.name: told(getattr(self, field.name)) for field in fields(self)}


def reference(
    net: FacePhys,
    frames: Float[np.ndarray, "t h w 3"],
    dt_s: Float[np.ndarray, "t"],
    marks: tuple[int, ...],
) -> Reference:
    """`net.step` in float64 over a clip. marks: after how many frames its states are kept."""
    net = copy.deepcopy(net).double()
    state, pulses, states = net.init_state(1), [], {}
    with torch.no_grad():
        for t, (frame, duration_s) in enumerate(zip(frames, dt_s, strict=True), start=1):
            crop, duration = torch.from_numpy(frame)[None].double(), torch.tensor([duration_s])
            pulse, state = net.step(crop, state, dt_s=duration.double())
            pulses.append(float(pulse))
            if t in marks:
                states[t] = state
    return Reference(np.array(pulses), states, np.cumsum(dt_s, dtype=np.float64))


def compare(
    card: ArtifactCard,
    answer: Reference,
    truth: Reference,
    *,
    artifact: str,
    runtime: str,
    is_drawn: bool = False,
) -> Parity:
    """The figures of one artifact, and which limits they break.

    is_drawn: whether the clip shows a synthetic person.
    """
    error = answer.pulse - truth.pulse
    rates = [_heart_rate_bpm(found) for found in (answer, truth)]
    rate_error = None if None in rates else abs(rates[0] - rates[1])  # type: ignore[operator]
    precision: str = card.precision
    if card.keeps_half:
        precision += ", states fp16"
    found = Parity(
        artifact=artifact,
        runtime=runtime,
        precision=precision,
        n_frames=len(error),
        max_error=float(np.abs(error).max()),
        rms_error=float(np.sqrt(np.mean(error**2))),
        correlation=float(np.corrcoef(answer.pulse, truth.pulse)[0, 1]),
        heart_rate_bpm=rates[0],
        heart_rate_error_bpm=rate_error,
        state_drift={t: _distance(answer.states[t], truth.states[t]) for t in answer.states},
        failures=(),
    )
    failures = list(_broken(found, limits_of(card, is_drawn=is_drawn)))
    if rates[0] is None and rates[1] is not None:
        failures.insert(0, "it shows no heart rate, the reference does")
    return replace(found, failures=tuple(failures))


def limits_of(card: ArtifactCard, *, is_drawn: bool = False) -> Limits:
    """What an artifact is held to."""
    limits = LIMITS[card.precision]
    if card.keeps_half:
        half = LIMITS["fp16"]
        limits = replace(half, correlation=min(half.correlation, limits.correlation))
    if is_drawn and (card.precision == "int8" or card.keeps_half):
        limits = replace(limits, correlation=min(limits.correlation, DRAWN_CORRELATION))
    return limits


def canonical(net: FacePhys, states: Mapping[str, np.ndarray], order: Order) -> FacePhysState:
    """An artifact's states as those of `net`, float64."""
    tensors = {name: torch.from_numpy(x).double() for name, x in states.items()}
    return FacePhysStream(net, order=order).to_canonical(tensors)


def _broken(found: Parity, limits: Limits) -> Iterator[str]:
    if not np.isfinite(found.max_error):
        yield "it answers NaN or infinity"
        return
    if limits.max_error is not None and found.max_error > limits.max_error:
        yield f"a sample is {found.max_error:.2g} off; {limits.max_error:g} is allowed"
    if not found.correlation >= limits.correlation:
        yield f"correlation {found.correlation:.6f}; {limits.correlation:g} is needed"
    drift = max(found.state_drift.values(), default=0.0)
    if not drift <= limits.state_drift:
        yield f"a state is {drift:.2g} of its size off; {limits.state_drift:g} is allowed"
    error_bpm = found.heart_rate_error_bpm
    if error_bpm is not None and error_bpm > limits.heart_rate_bpm:
        yield f"heart rate {error_bpm:.2f} bpm off; {limits.heart_rate_bpm:g} is allowed"


def _heart_rate_bpm(found: Reference) -> float | None:
    if not np.isfinite(found.pulse).all():
        return None
    return read_pulse(Pulse(found.pulse, found.timestamps_s)).heart_rate_bpm


def _distance(found: FacePhysState, truth: FacePhysState) -> float:
    """Of the worst tensor, relative to its size."""
    pairs = list(zip(_tensors(found), _tensors(truth), strict=True))
    return max(float((a - b).square().mean().sqrt() / b.square().mean().sqrt()) for a, b in pairs)


def _tensors(state: FacePhysState) -> Iterator[Tensor]:
    for conv in state.convs:
        yield from conv.norm
    for ssm in (*(conv.ssm for conv in state.convs), *state.head):
        yield from (ssm.real, ssm.imag, ssm.rows[:, 1:])  # nothing reads the oldest row
