"""`physkit demo`: the whole main job in small, on people made on the spot, with known answers."""

import dataclasses
import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from physkit.core.errors import InputError
from physkit.core.files import whole_file
from physkit.core.table import cell, table

if TYPE_CHECKING:
    from physkit.crossdomain.result import CrossdomainResult
    from physkit.inference.result import PulseResult

DATASETS = {"ubfc-like": "ubfc", "pure-like": "pure", "mmpd-like": "mmpd"}
"""Drawn data sets, each in the layout of a real one and about as hard. Their names are those of
the generator's presets, so that nobody takes an error on one for an error on the real data set."""
SHIPPED = "facephys-synthetic"
"""Weights that the clip is read with, whatever else was pulled: the same number everywhere."""
DETECTOR = "haar"
"""Face detector, for the same reason."""
WIDTH, HEIGHT = 320, 240
"""Pictures of the recordings, in pixels: large enough to find faces in."""
N_FOLDS = 3
"""Folds of each data set, of which one is trained."""
SMALL = {"height": 18, "width": 18, "channels": 16, "n_blocks": 2, "d_state": 32}
"""A FacePhys of a quarter of the pixels and half the width, which learns in a minute what the
published one learns in hours."""


@dataclass(frozen=True)
class DemoConfig:
    """Reads the pulse of a synthetic clip by FacePhys and by POS; then synthesises three data sets,
    prepares them, trains FacePhys on each and tests it on each."""

    out: str = "demo_out"
    """Folder for all of it; one of an earlier demo is completed."""
    duration_s: float = 12.0
    """Length of the clip in seconds."""
    subjects: int = 10
    """People in each data set, with a recording each."""
    seconds: float = 12.0
    """Length of each recording in seconds."""
    steps: int = 60
    """Optimizer steps of each training."""
    workers: int | None = None
    """Processes that write and prepare recordings, and threads that train; by default one for each
    core."""
    seed: int = 0
    """Seed of the clip, the data sets and the trainings."""
    weights: str | None = None
    """FacePhys weights to read the clip with; by default those that physkit comes with."""

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise InputError(f"--seed {self.seed}: must be 0 or more")
        if not 4 <= self.duration_s <= 600:
            raise InputError(f"--duration_s {self.duration_s}: must be 4 to 600 s")
        if not 5 <= self.seconds <= 600:
            raise InputError(f"--seconds {self.seconds}: must be 5 to 600 s")
        if self.subjects < 4:
            raise InputError(f"--subjects {self.subjects}: must be 4 or more, for train and test")
        for option in ("steps", "workers"):
            value = getattr(self, option)
            if value is not None and value < 1:
                raise InputError(f"--{option} {value}: must be at least 1")


@dataclass(frozen=True, eq=False)
class ClipReading:
    """The clip, read by one method."""

    weights: str | None
    """Name or file of the weights; None for a method without them."""
    result: "PulseResult"
    """What `physkit predict` read."""
    plot: Path
    """The picture."""
    report: Path
    """What `physkit predict --json` prints."""

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {
            "model": self.result.model,
            "weights": self.weights,
            "heart_rate_bpm": self.result.heart_rate_bpm,
            "signal_quality": self.result.signal_quality,
            "plot": str(self.plot),
            "json": str(self.report),
        }


@dataclass(frozen=True)
class Step:
    """One step of the demo, and what it cost."""

    name: str
    """What was done."""
    path: Path
    """Folder or store of its files."""
    seconds: float
    """Time it took."""
    size_mb: float
    """Size of its files, in units of 1,000,000 bytes."""


@dataclass(frozen=True, eq=False)
class DemoResult:
    """What was true, what was read, and where it lies."""

    clip: Path
    """The video."""
    true_heart_rate_bpm: float
    """Beats per minute of the synthetic heart in the clip."""
    readings: tuple[ClipReading, ...]
    """What was read from the clip: by FacePhys, and by POS beside it."""
    matrix: "CrossdomainResult"
    """Errors of the networks trained on each data set on each."""
    steps: tuple[Step, ...]
    """What was done, in this order."""

    @property
    def exit_status(self) -> int:
        """0 only when the whole matrix is filled."""
        return self.matrix.exit_status

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {
            "clip": str(self.clip),
            "true_heart_rate_bpm": self.true_heart_rate_bpm,
            "readings": [reading.to_dict() for reading in self.readings],
            "matrix": self.matrix.to_dict(),
            "steps": [vars(step) | {"path": str(step.path)} for step in self.steps],
        }

    def lines(self) -> list[str]:
        """The readings beside the truth, the matrix, and what each step cost."""
        return [
            "1. The pulse of a drawn person, read from a video",
            "",
            *self._reading_lines(),
            f"video {self.clip}",
            "",
            "2. FacePhys trained on each of three drawn data sets, and tested on people of each",
            "   whom it never saw; beside it POS, which is not trained. This FacePhys is small,",
            "   and trained for a minute: it shows that all works, not what FacePhys can do.",
            "",
            *self.matrix.lines(),
            "",
            "3. What each step cost, and where its files lie",
            "",
            *self._step_lines(),
        ]

    def _reading_lines(self) -> list[str]:
        true_bpm = self.true_heart_rate_bpm
        rows = [("the truth", "", f"{true_bpm:.1f} bpm", "", "", "")]
        for reading in self.readings:
            read, rate_bpm = reading.result, reading.result.heart_rate_bpm
            rate = "none" if rate_bpm is None else f"{rate_bpm:.1f} bpm"
            off = cell(None if rate_bpm is None else rate_bpm - true_bpm, "+.1f")
            quality = f"{read.signal_quality:.2f}"
            rows.append((read.model, reading.weights or "-", rate, off, quality, str(reading.plot)))
        head = ("read by", "weights", "heart rate", "off by", "quality", "")
        return [
            *table(head, rows, texts=2),
            *(f"{r.result.model}: {text}" for r in self.readings for text in r.result.warnings),
        ]

    def _step_lines(self) -> list[str]:
        rows = [(s.name, f"{s.seconds:.0f}", f"{s.size_mb:.1f}", str(s.path)) for s in self.steps]
        total_s, total_mb = sum(s.seconds for s in self.steps), sum(s.size_mb for s in self.steps)
        total = ("all", f"{total_s:.0f}", f"{total_mb:.1f}")
        return table(("step", "seconds", "MB", ""), [*rows, total])


def run(config: DemoConfig, *, progress: bool = False) -> DemoResult:
    """Clip, data sets, trainings, matrix. Raises InputError for an unusable folder.

    progress: tell each step on standard error.
    """
    folder = Path(config.out)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: cannot be made ({error}); choose another --out") from error
    steps = _Steps(is_told=progress)
    clip = folder / "clip" / "face.mp4"
    with steps.timed("read a clip", clip.parent):
        true_bpm, readings = _read_clip(config, clip, progress=progress)
    for name in DATASETS:
        with steps.timed(f"synth {name}", folder / "raw" / name):
            _synthesise(config, name, folder / "raw" / name, progress=progress)
        with steps.timed(f"prep {name}", folder / f"{name}.zarr"):
            _prepare(config, name, folder, progress=progress)
    with steps.timed("train and test", folder / "matrix"):
        matrix = _cross(config, folder, progress=progress)
    return DemoResult(clip, true_bpm, readings, matrix, tuple(steps.done))


class _Steps:
    """What was done so far, and what it cost."""

    def __init__(self, *, is_told: bool) -> None:
        self.done: list[Step] = []
        self._is_told = is_told

    @contextmanager
    def timed(self, name: str, path: Path) -> Iterator[None]:
        """A step whose files are to lie in `path`."""
        self._tell(f"{name} ...\n")
        began_s = time.monotonic()
        yield
        step = Step(name, path, time.monotonic() - began_s, _size_mb(path))
        self.done.append(step)
        self._tell(f"{name}: {step.seconds:.1f} s, {step.size_mb:.1f} MB in {path}\n")

    def _tell(self, text: str) -> None:
        if self._is_told:
            sys.stderr.write(text)
            sys.stderr.flush()


def _size_mb(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


def _read_clip(
    config: DemoConfig, clip: Path, *, progress: bool
) -> tuple[float, tuple[ClipReading, ...]]:
    """True heart rate of a clip made on the spot, and what is read from it."""
    from physkit.face.config import FaceConfig
    from physkit.inference.config import PredictConfig
    from physkit.pipelines.predict import run as predict
    from physkit.synth.clip import ClipConfig, synthesise_clip
    from physkit.weights.manifest import find_weights

    clip.parent.mkdir(exist_ok=True)
    clip_config = dataclasses.replace(ClipConfig(), duration_s=config.duration_s, seed=config.seed)
    truth = synthesise_clip(clip, config=clip_config)
    readings = []
    weights = str(find_weights(SHIPPED)) if config.weights is None else config.weights
    for model, name, file in (
        ("facephys", config.weights or SHIPPED, weights),
        ("pos", None, None),
    ):
        plot, report = (clip.parent / f"{model}{suffix}" for suffix in (".png", ".json"))
        result = predict(
            PredictConfig(
                str(clip),
                model=model,
                weights=file,
                face=FaceConfig(DETECTOR),
                plot=str(plot),
            ),
            progress=progress,
        )
        with whole_file(report) as unfinished:
            unfinished.write_text(json.dumps(result.to_dict(), allow_nan=False), encoding="utf-8")
        readings.append(ClipReading(name, result, plot, report))
    return truth.heart_rate_bpm, tuple(readings)


def _synthesise(config: DemoConfig, name: str, raw: Path, *, progress: bool) -> None:
    from physkit.synth.write import SynthConfig
    from physkit.synth.write import run as synthesise

    synthesise(
        SynthConfig(
            DATASETS[name],
            str(raw),
            subjects=config.subjects,
            seconds=config.seconds,
            seed=config.seed + list(DATASETS).index(name),  # other people in each
            preset=name,
            width=WIDTH,
            height=HEIGHT,
            workers=config.workers,
        ),
        progress=progress,
    )


def _prepare(config: DemoConfig, name: str, folder: Path, *, progress: bool) -> None:
    """Raises InputError where a recording cannot be prepared."""
    from physkit.face.config import FaceConfig
    from physkit.prepare.run import PrepareConfig
    from physkit.prepare.run import run as prepare

    raw, store = folder / "raw" / name, folder / f"{name}.zarr"
    prepare_config = PrepareConfig(
        DATASETS[name],
        str(raw),
        str(store),
        face=FaceConfig(DETECTOR),
        workers=config.workers,
        engine="serial" if config.workers == 1 else "local",
    )
    for failure in prepare(prepare_config, progress=progress).failed:
        raise InputError(f"{raw}: {failure.recording}: {failure.cause}")


def _cross(config: DemoConfig, folder: Path, *, progress: bool) -> "CrossdomainResult":
    """Each data set trained on and tested on, with POS beside."""
    from physkit.core.workers import n_cores
    from physkit.crossdomain.config import CrossdomainConfig
    from physkit.crossdomain.run import run as cross
    from physkit.data.splits import StoreConfig
    from physkit.data.windows.config import DataConfig
    from physkit.models.facephys.config import FacePhysConfig
    from physkit.runtime.config import ComputeConfig
    from physkit.train.config import OptimConfig, RunConfig, TrainerConfig

    threads = config.workers or n_cores()
    validate_every = max(1, config.steps // 3)
    stores = {name: StoreConfig(str(folder / f"{name}.zarr"), n_folds=N_FOLDS) for name in DATASETS}
    return cross(
        CrossdomainConfig(
            stores=stores,
            out=str(folder / "matrix"),
            train=list(DATASETS),
            models=["pos"],
            model=FacePhysConfig(**SMALL),
            data=DataConfig(n_frames=128, augment=None),
            optim=OptimConfig(lr=3e-3, schedule="onecycle", losses={"neg_pearson": 1.0}),
            trainer=TrainerConfig(max_steps=config.steps, validate_every=validate_every),
            run=RunConfig(workers=0, plots=0, threads=threads),
            folds=1,
            across="fold-0",
            seed=config.seed,
            compute=ComputeConfig(threads=threads),
        ),
        progress=progress,
    )
