"""`physkit demo`: the whole main job in small, on people made on the spot, with known answers."""

import dataclasses
import json
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from physkit.core.errors import InputError
from physkit.core.files import whole_file

if TYPE_CHECKING:
    from physkit.crossdomain.result import CrossdomainResult
    from physkit.inference.result import PulseResult

DATASETS = ("ubfc", "pure", "mmpd")
"""Layouts that are written, each with recordings as hard as its own."""
WIDTH, HEIGHT = 320, 240
"""Pictures of the recordings, in pixels: large enough to find faces in."""
N_FOLDS = 3
"""Folds of each data set, of which one is trained."""
SMALL = {"height": 18, "width": 18, "channels": 16, "n_blocks": 2, "d_state": 32}
"""A FacePhys of a quarter of the pixels and half the width, which learns in a minute what the
published one learns in hours."""


@dataclass(frozen=True)
class DemoConfig:
    """Reads the pulse of a synthetic clip; then synthesises three data sets, prepares them, trains
    FacePhys on each and tests it on each."""

    out: str = "demo_out"
    """Folder for all of it; one of an earlier demo is completed."""
    duration_s: float = 12.0
    """Length of the clip in seconds."""
    subjects: int = 12
    """People in each data set, with a recording each."""
    seconds: float = 15.0
    """Length of each recording in seconds."""
    steps: int = 150
    """Optimizer steps of each training."""
    workers: int | None = None
    """Processes that write and prepare recordings, and threads that train; by default one for each
    core."""
    seed: int = 0
    """Seed of the clip, the data sets and the trainings."""
    weights: str | None = None
    """FacePhys weights to read the clip with; without them that is done by pos."""

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
class DemoResult:
    """What was true, what was read, and where it lies."""

    true_heart_rate_bpm: float
    """Beats per minute of the synthetic heart in the clip."""
    result: "PulseResult"
    """What predict read."""
    clip: Path
    """The video."""
    plot: Path
    """The picture."""
    report: Path
    """What `physkit predict --json` prints."""
    matrix: "CrossdomainResult"
    """Errors of the networks trained on each data set on each."""
    stages: Mapping[str, float]
    """What was done, and the seconds that each took."""

    @property
    def exit_status(self) -> int:
        """0 only when the whole matrix is filled."""
        return self.matrix.exit_status

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {
            "true_heart_rate_bpm": self.true_heart_rate_bpm,
            "heart_rate_bpm": self.result.heart_rate_bpm,
            "clip": str(self.clip),
            "plot": str(self.plot),
            "json": str(self.report),
            "matrix": self.matrix.to_dict(),
            "stages_s": dict(self.stages),
        }

    def lines(self) -> list[str]:
        """The reading beside the truth and its files, then the matrix and what took how long."""
        stages = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in self.stages.items())
        return [
            f"{'true heart rate':20s}{self.true_heart_rate_bpm:.1f} bpm",
            *self.result.lines(),
            f"{'clip':20s}{self.clip}",
            f"{'plot':20s}{self.plot}",
            f"{'json':20s}{self.report}",
            "",
            *self.matrix.lines(),
            f"{sum(self.stages.values()):.0f} s: {stages}",
        ]


def run(config: DemoConfig, *, progress: bool = False) -> DemoResult:
    """Clip, data sets, trainings, matrix. Raises InputError for an unusable folder.

    progress: tell each stage on standard error.
    """
    folder = Path(config.out)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: cannot be made ({error}); choose another --out") from error
    stages = _Stages(is_told=progress)
    with stages.timed("one clip"):
        heart_rate_bpm, result = _read_clip(config, folder, progress=progress)
    for dataset in DATASETS:
        with stages.timed(f"synth {dataset}"):
            _synthesise(config, dataset, folder, progress=progress)
        with stages.timed(f"prep {dataset}"):
            _prepare(config, dataset, folder, progress=progress)
    with stages.timed("train and test"):
        matrix = _cross(config, folder, progress=progress)
    clip, plot, report = _clip_files(folder)
    return DemoResult(heart_rate_bpm, result, clip, plot, report, matrix, stages.seconds)


class _Stages:
    """What was done so far, and how long it took."""

    def __init__(self, *, is_told: bool) -> None:
        self.seconds: dict[str, float] = {}
        self._is_told = is_told

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        self._tell(f"{name} ...\n")
        began_s = time.monotonic()
        yield
        self.seconds[name] = time.monotonic() - began_s
        self._tell(f"{name}: {self.seconds[name]:.1f} s\n")

    def _tell(self, text: str) -> None:
        if self._is_told:
            sys.stderr.write(text)
            sys.stderr.flush()


def _clip_files(folder: Path) -> tuple[Path, Path, Path]:
    """The clip, its picture and its JSON."""
    return folder / "face.mp4", folder / "pulse.png", folder / "pulse.json"


def _read_clip(config: DemoConfig, folder: Path, *, progress: bool) -> "tuple[float, PulseResult]":
    """True heart rate of a clip made on the spot, and what is read from it."""
    from physkit.inference.config import PredictConfig
    from physkit.pipelines.predict import run as predict
    from physkit.synth.clip import ClipConfig, synthesise_clip

    clip, plot, report = _clip_files(folder)
    clip_config = dataclasses.replace(ClipConfig(), duration_s=config.duration_s, seed=config.seed)
    truth = synthesise_clip(clip, config=clip_config)
    model = "facephys" if config.weights else "pos"
    result = predict(
        PredictConfig(str(clip), model=model, weights=config.weights, plot=str(plot)),
        progress=progress,
    )
    with whole_file(report) as unfinished:
        unfinished.write_text(json.dumps(result.to_dict(), allow_nan=False), encoding="utf-8")
    return truth.heart_rate_bpm, result


def _synthesise(config: DemoConfig, dataset: str, folder: Path, *, progress: bool) -> None:
    from physkit.synth.write import SynthConfig
    from physkit.synth.write import run as synthesise

    synthesise(
        SynthConfig(
            dataset,
            str(folder / "raw" / dataset),
            subjects=config.subjects,
            seconds=config.seconds,
            seed=config.seed + DATASETS.index(dataset),  # other people in each
            preset=f"{dataset}-like",
            width=WIDTH,
            height=HEIGHT,
            workers=config.workers,
        ),
        progress=progress,
    )


def _prepare(config: DemoConfig, dataset: str, folder: Path, *, progress: bool) -> None:
    """Raises InputError where a recording cannot be prepared."""
    from physkit.prepare.run import PrepareConfig
    from physkit.prepare.run import run as prepare

    raw, store = folder / "raw" / dataset, folder / f"{dataset}.zarr"
    engine = "serial" if config.workers == 1 else "local"
    told = PrepareConfig(dataset, str(raw), str(store), workers=config.workers, engine=engine)
    for failure in prepare(told, progress=progress).failed:
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
