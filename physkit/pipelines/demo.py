"""`physkit demo`: the whole main job on a clip made on the spot, with a known answer."""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from physkit.core.errors import InputError
from physkit.core.files import whole_file

if TYPE_CHECKING:
    from physkit.pipelines.predict import PulseResult


@dataclass(frozen=True)
class DemoConfig:
    """Synthesises a short clip of a face with a known pulse and reads the pulse back."""

    out: str = "demo_out"
    """Folder for the clip, the plot and the JSON."""
    duration_s: float = 12.0
    """Length of the clip in seconds."""
    seed: int = 0
    """Seed of the clip."""
    weights: str | None = None
    """FacePhys weights; without them the model is pos."""

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise InputError(f"--seed {self.seed}: must be 0 or more")
        if not 4 <= self.duration_s <= 600:
            raise InputError(f"--duration_s {self.duration_s}: must be 4 to 600 s")


@dataclass(frozen=True, eq=False)
class DemoResult:
    """What was true, what was read, and where it lies."""

    true_heart_rate_bpm: float
    """Beats per minute of the synthetic heart."""
    result: "PulseResult"
    """What predict read."""
    clip: Path
    """The video."""
    plot: Path
    """The picture."""
    report: Path
    """What `physkit predict --json` prints."""

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {
            "true_heart_rate_bpm": self.true_heart_rate_bpm,
            "heart_rate_bpm": self.result.heart_rate_bpm,
            "clip": str(self.clip),
            "plot": str(self.plot),
            "json": str(self.report),
        }

    def lines(self) -> list[str]:
        """The reading beside the truth, then the three files."""
        return [
            f"{'true heart rate':20s}{self.true_heart_rate_bpm:.1f} bpm",
            *self.result.lines(),
            f"{'clip':20s}{self.clip}",
            f"{'plot':20s}{self.plot}",
            f"{'json':20s}{self.report}",
        ]


def run(config: DemoConfig, *, progress: bool = False) -> DemoResult:
    """Synthesise, predict, write plot and JSON. Raises InputError for an unusable folder."""
    from physkit.pipelines.predict import PredictConfig
    from physkit.pipelines.predict import run as predict
    from physkit.synth.clip import ClipConfig, synthesise_clip

    folder = Path(config.out)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: cannot be made ({error}); choose another --out") from error
    clip, plot, report = (folder / name for name in ("face.mp4", "pulse.png", "pulse.json"))
    clip_config = dataclasses.replace(ClipConfig(), duration_s=config.duration_s, seed=config.seed)
    truth = synthesise_clip(clip, config=clip_config)
    model = "facephys" if config.weights else "pos"
    result = predict(
        PredictConfig(str(clip), model=model, weights=config.weights, plot=str(plot)),
        progress=progress,
    )
    with whole_file(report) as unfinished:
        unfinished.write_text(json.dumps(result.to_dict(), allow_nan=False), encoding="utf-8")
    return DemoResult(truth.heart_rate_bpm, result, clip, plot, report)
