"""What was seen of one recording, and what follows from it."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import xxhash
from jaxtyping import Float

from physkit.audit.result import RecordingSummary
from physkit.core.errors import InputError
from physkit.core.types import Pulse
from physkit.data.checks import (
    check_coverage,
    check_damage,
    check_label,
    check_lag,
    check_recording,
    is_clock,
)
from physkit.data.findings import Finding
from physkit.data.windows.label import clean_label
from physkit.media.frames import DamageCount
from physkit.signal.lag import LagEstimate, possible_lags
from physkit.signal.resample import usual_step_s

if TYPE_CHECKING:
    from physkit.inference.crops import TimedCrop

CROP_SIZE_PX = 36
"""Side of the crops whose mean colour is taken."""
METHODS = ("pos", "green")
"""Classical methods: one that bears motion, and one that strong compression delays less."""
CHUNK_FRAMES = 128
"""Crops that a method reads at once."""
CLEARLY_BETTER = 0.05
"""Correlation by which a label turned upside down must fit better to be called so."""


@dataclass(frozen=True, eq=False)
class Video:
    """What was seen of a video."""

    timestamps_s: Float[np.ndarray, "t"]
    """Time of each frame in seconds."""
    n_frames: int
    """How many there are; more than times where only the ends are known."""
    coverage: float | None = None
    """Share of the frames with a face."""
    pulses: Mapping[str, Pulse] = field(default_factory=dict)
    """What classical methods make of it, by name."""
    damage: DamageCount = field(default_factory=DamageCount)
    """What could not be seen of it."""


@dataclass(frozen=True, eq=False)
class Audited:
    """One recording, by itself."""

    summary: RecordingSummary
    """Its figures; `worst` is filled in at the end."""
    findings: tuple[Finding, ...]
    """What was found."""
    lags: tuple[LagEstimate, ...] = ()
    """How late its label may be, the likeliest first; empty where that was not looked for."""
    label_digest: str | None = None
    """Checksum of the label's samples."""
    contents_digest: str | None = None
    """Checksum of the raw files it was made of, where a store states it."""
    settings: Mapping[str, Any] | None = None
    """How it was prepared, in a store."""


def judge(
    name: str,
    *,
    subject: str | None,
    video: Video | None,
    label: Pulse | None,
    found: Iterable[Finding],
    source: Mapping[str, Any] | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Audited:
    """Everything that follows from what was seen. found: what was found in looking.

    source, settings: attributes of a prepared recording.
    """
    findings = list(found)
    summary = RecordingSummary(name, subject)
    lags: tuple[LagEstimate, ...] = ()
    if video is not None:
        summary = _with_video(summary, video)
        findings += check_recording(video.timestamps_s, label)
        findings += check_damage(video.damage, video.n_frames)
        findings += [] if video.coverage is None else check_coverage(video.coverage)
    elif label is not None:
        findings += check_label(label)
    if label is not None:
        summary = _with_label(summary, label)
    if video is not None and label is not None and _can_compare(video, label, findings):
        lags, inverted = _compare(label, video.pulses.values())
        findings += inverted
    return Audited(
        summary,
        tuple(replace(finding, recording=name) for finding in findings),
        lags,
        None if label is None else xxhash.xxh3_128_hexdigest(label.samples.tobytes()),
        None if source is None else source.get("contents_xxh3_128"),
        settings,
    )


def broken(name: str, subject: str | None, finding: Finding) -> Audited:
    """A recording that could not be audited, with the finding that says why."""
    found = replace(finding, recording=name)
    return Audited(RecordingSummary(name, subject), (found,))


def watch(crops: "Iterable[TimedCrop]") -> Video:
    """Times, face coverage and the pulse by `METHODS` of a stream of crops."""
    # imported here: the command line reads this package for its options only
    import torch

    from physkit.inference.stream import ModelReader, PulseStream
    from physkit.weights.load import load_model

    cpu = torch.device("cpu")
    streams = {
        name: PulseStream(ModelReader(load_model(name, None), cpu), chunk_frames=CHUNK_FRAMES)
        for name in METHODS
    }
    for item in crops:
        for stream in streams.values():
            stream.push(item)
    n_seen = max(stream.n_seen for stream in streams.values())
    pulses = {name: stream.finish() for name, stream in streams.items()}
    times_s = pulses[METHODS[0]].timestamps_s
    n = len(times_s)
    return Video(times_s, n, n_seen / n if n else 0.0, pulses)


def with_lag(audited: Audited, lag: LagEstimate, rival_s: float | None) -> Audited:
    """The recording with one of its lags chosen, and what follows from it.

    rival_s: another lag in seconds that fits about as well.
    """
    correlation = lag.correlation if np.isfinite(lag.correlation) else None
    summary = replace(audited.summary, lag_correlation=correlation)
    if lag.lag_s is not None and lag.drift_s_per_s is not None:
        summary = replace(
            summary,
            lag_ms=1e3 * lag.lag_s,
            lag_spread_ms=1e3 * lag.spread_s,
            lag_rival_ms=None if rival_s is None else 1e3 * rival_s,
            drift_ms_per_min=60e3 * lag.drift_s_per_s,
        )
    found = (replace(f, recording=summary.recording) for f in check_lag(lag, rival_s=rival_s))
    return replace(audited, summary=summary, findings=(*audited.findings, *found))


def _compare(
    label: Pulse, pulses: Collection[Pulse]
) -> tuple[tuple[LagEstimate, ...], list[Finding]]:
    """The possible lags by the pulse that agrees best, and whether the label is upside down.

    Where the label stands still it says nothing of a lag.
    """
    try:
        label = clean_label(label, place="label")
    except InputError:
        return (), []  # told as flat
    turned_label = Pulse(-label.samples, label.timestamps_s)
    upright = max((possible_lags(label, pulse) for pulse in pulses), key=_agreement)
    turned = max((possible_lags(turned_label, pulse) for pulse in pulses), key=_agreement)
    inverted = _agreement(turned)
    # however little its windows agree on a lag
    agreement = max((lag.correlation for lag in upright if np.isfinite(lag.correlation)), default=0)
    if inverted < agreement + CLEARLY_BETTER:
        return upright, []
    message = (
        f"upside down, the label agrees with the camera pulse better: {inverted:.2f} "
        f"in place of {agreement:.2f}"
    )
    measured = {"correlation": agreement, "inverted_correlation": inverted}
    return turned, [Finding("label-inverted", "warning", message, measured)]


def _agreement(lags: tuple[LagEstimate, ...]) -> float:
    return max((lag.correlation for lag in lags if lag.lag_s is not None), default=0.0)


def _can_compare(video: Video, label: Pulse, findings: list[Finding]) -> bool:
    """Whether both pulses and both clocks can be used."""
    is_usable = not any(f.check.startswith("label-") and f.severity == "error" for f in findings)
    clocks = (video.timestamps_s, label.timestamps_s)
    return bool(video.pulses) and is_usable and all(is_clock(times_s) for times_s in clocks)


def _with_video(summary: RecordingSummary, video: Video) -> RecordingSummary:
    times_s = video.timestamps_s
    usable = len(times_s) > 1 and bool(np.isfinite(times_s).all())
    duration_s = float(times_s[-1] - times_s[0]) if usable else None
    fps = 1 / usual_step_s(times_s) if usable and np.median(np.diff(times_s)) > 0 else None
    if usable and duration_s and video.n_frames != len(times_s):
        fps = (video.n_frames - 1) / duration_s
    return replace(
        summary,
        n_frames=video.n_frames,
        fps=fps,
        duration_s=duration_s,
        face_coverage=video.coverage,
    )


def _with_label(summary: RecordingSummary, label: Pulse) -> RecordingSummary:
    times_s = label.timestamps_s
    is_usable = len(times_s) > 1 and np.median(np.diff(times_s)) > 0
    rate_hz = 1 / usual_step_s(times_s) if is_usable else None
    return replace(summary, n_label_samples=len(label.samples), label_rate_hz=rate_hz)
