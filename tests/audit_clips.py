"""A recording that audits are tried on, and what they found."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np

from physkit.audit.result import AuditResult
from physkit.data.readers import READERS
from physkit.data.readers.base import NewRecording
from physkit.media.frames import Frame
from physkit.synth.generate import Synthesis
from physkit.synth.plan import plan_recording

DURATION_S, FPS, WIDTH, HEIGHT = 14.0, 30.0, 320, 240
Shown = dict[str, np.ndarray]
Measure = Callable[[np.ndarray], Mapping[str, np.ndarray]]


class Clip:
    """One synthetic recording, kept to be written again and again with something wrong."""

    def __init__(self) -> None:
        plan = plan_recording(
            "clean",
            layout="ubfc",
            seed=3,
            subject=1,
            turn=0,
            duration_s=DURATION_S,
            width=WIDTH,
            height=HEIGHT,
            fps=FPS,
        )
        self.synthesis: Synthesis = plan.synthesis()
        self.frames = list(self.synthesis.frames())

    def write(
        self,
        root: Path,
        dataset: str,
        subject: int,
        *,
        frames: list[Frame] | None = None,
        measure: Measure | None = None,
    ) -> str:
        """Written as a recording of its own, which shares no byte-equal file with another."""
        root.mkdir(exist_ok=True)
        measure = measure or self.synthesis.measure
        new = NewRecording(
            subject=subject,
            session=0,
            conditions={},
            width=WIDTH,
            height=HEIGHT,
            fps=FPS,
            duration_s=DURATION_S,
            frames=_marked(frames or self.frames, subject),
            measure=lambda times_s: _scaled(measure(times_s), 1 + subject / 100),
        )
        return READERS[dataset]().write(root, new).name

    def late(self, lag_s: float, drift: float = 0.0) -> Measure:
        """The label, late by so much."""
        middle_s = DURATION_S / 2
        return lambda times_s: self.synthesis.measure(
            times_s - lag_s - drift * (times_s - middle_s)
        )

    def changed(self, change: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Measure:
        """The label, its pulse changed by a function of times and samples."""

        def measure(times_s: np.ndarray) -> Shown:
            shown = dict(self.synthesis.measure(times_s))
            return {**shown, "pulse": change(times_s, shown["pulse"])}

        return measure


def _marked(frames: list[Frame], mark: int) -> Iterator[Frame]:
    for frame in frames:
        rgb = frame.rgb.copy()
        rgb[:4, :4] = mark
        yield Frame(rgb, frame.timestamp_s)


def _scaled(shown: Mapping[str, np.ndarray], scale: float) -> Shown:
    return {**shown, "pulse": shown["pulse"] * scale}


def found(result: AuditResult) -> dict[str | None, set[str]]:
    """Names of what was found, by recording."""
    checks: dict[str | None, set[str]] = defaultdict(set)
    for finding in result.findings:
        checks[finding.recording].add(finding.check)
    return dict(checks)
