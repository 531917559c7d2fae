"""`physkit synth`: synthetic recordings with known pulse, in a real data set's own layout."""

import dataclasses
import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from physkit.core.errors import InputError
from physkit.core.files import visible, whole_file
from physkit.core.table import labelled

if TYPE_CHECKING:
    from collections.abc import Iterator

    from physkit.data.readers.base import Reader
    from physkit.synth.plan import RecordingPlan

SETTINGS_FILE = "synth.json"
"""Name of the file with the options of a folder."""


@dataclass(frozen=True)
class SynthConfig:
    """Writes recordings of drawn people with a known pulse, as a real data set would hold them."""

    layout: str
    """Data set whose layout to write: {registry data set}."""
    out: str
    """Folder for the recordings; new, empty, or of an earlier run with the same options, which is
    then completed."""
    subjects: int = 5
    """Number of people."""
    first_subject: int = 1
    """Number of the first of them, to make a large set in parts."""
    seconds: float = 30.0
    """Length of each recording in seconds."""
    seed: int = 0
    """Seed of all random numbers: the same seed gives the same files."""
    sessions: int = 1
    """Recordings of each person; they go through the conditions of the preset in turn."""
    preset: str = "clean"
    """Difficulty of the recordings: clean, ubfc-like, pure-like, mmpd-like or varied."""
    width: int | None = None
    """Width of the video in pixels; by default the data set's own."""
    height: int | None = None
    """Height of the video in pixels; by default the data set's own."""
    workers: int | None = None
    """Processes that write recordings at the same time; by default one for each core."""

    def __post_init__(self) -> None:
        if not self.out:
            raise InputError("--out: empty; give a folder")
        for option in ("subjects", "first_subject", "sessions", "workers"):
            value = getattr(self, option)
            if value is not None and value < 1:
                raise InputError(f"--{option} {value}: must be at least 1")
        if self.seed < 0:
            raise InputError(f"--seed {self.seed}: must be 0 or more")
        if not 1 <= self.seconds <= 36_000:
            raise InputError(f"--seconds {self.seconds}: must be 1 to 36000")


@dataclass(frozen=True)
class SynthRecording:
    """One recording in the folder."""

    name: str
    """Its name by the reader."""
    heart_rate_bpm: float
    """Mean true heart rate."""
    n_frames: int
    """Frames of its video."""
    is_new: bool
    """Whether this run wrote it."""


@dataclass(frozen=True)
class SynthResult:
    """The recordings in the folder."""

    out: Path
    """The folder."""
    layout: str
    """Data set whose layout it has."""
    preset: str
    """Preset of the recordings."""
    recordings: tuple[SynthRecording, ...]
    """All of them, person by person."""

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {
            "out": str(self.out),
            "layout": self.layout,
            "preset": self.preset,
            "recordings": [dataclasses.asdict(recording) for recording in self.recordings],
        }

    def lines(self) -> list[str]:
        """The lines that are printed: number of recordings, folder of the true values."""
        n_new = sum(recording.is_new for recording in self.recordings)
        n_frames = sum(recording.n_frames for recording in self.recordings)
        kept = len(self.recordings) - n_new
        return labelled(
            [
                ("written", f"{n_new} recordings" + (f", {kept} were there" if kept else "")),
                ("frames", str(n_frames)),
                ("layout", self.layout),
                ("preset", self.preset),
                ("folder", str(self.out)),
            ]
        )


def run(config: SynthConfig, *, progress: bool = False) -> SynthResult:
    """Write what is missing. Raises PhyskitError for options or a folder that cannot be used."""
    from physkit.core.progress import ProgressBar
    from physkit.data.readers import READERS

    reader: Reader = READERS[config.layout]()
    plans = _plans(config, reader)
    root = Path(config.out)
    _claim(root, config)
    kept = _kept(root)
    missing = [plan for plan in plans if (plan.subject, plan.session) not in kept]
    written = {}
    n_frames = sum(round(plan.duration_s * plan.parameters.camera.fps) for plan in missing)
    with ProgressBar(total=n_frames, unit="frame", shown=progress) as bar:
        for plan, recording in _write_all(root, config, missing):
            written[plan.subject, plan.session] = recording
            bar.update(recording.n_frames)
    by_number = kept | written
    return SynthResult(
        root,
        config.layout,
        config.preset,
        tuple(by_number[plan.subject, plan.session] for plan in plans),
    )


def _plans(config: SynthConfig, reader: "Reader") -> "list[RecordingPlan]":
    """All requested recordings, person by person."""
    from physkit.synth.plan import plan_recording

    return [
        plan_recording(
            config.preset,
            layout=config.layout,
            seed=config.seed,
            subject=subject,
            turn=turn,
            duration_s=config.seconds,
            width=config.width or reader.layout.width,
            height=config.height or reader.layout.height,
            fps=reader.layout.fps,
        )
        for subject in range(config.first_subject, config.first_subject + config.subjects)
        for turn in range(config.sessions)
    ]


def _claim(root: Path, config: SynthConfig) -> None:
    """Creates or reopens the folder. Raises InputError where it contains anything else."""
    from physkit.data.formats.truth import TRUTH_FOLDER

    settings = dataclasses.asdict(config)
    del settings["out"], settings["workers"]
    path = root / TRUTH_FOLDER / SETTINGS_FILE
    try:
        if path.is_file():
            _compare(path, settings)
            return
        if root.exists() and visible(root):
            raise InputError(f"{root}: not empty, and not of physkit synth; give a new --out")
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{root}: cannot be used ({error}); choose another --out") from error
    with whole_file(path) as unfinished:
        unfinished.write_text(json.dumps(settings, indent=1), encoding="utf-8")


def _compare(path: Path, settings: dict[str, Any]) -> None:
    """Raises InputError where the folder was made with other settings."""
    try:
        earlier = json.loads(path.read_text("utf-8"))
        changed = [name for name, value in settings.items() if earlier.get(name) != value]
    except (ValueError, AttributeError) as error:
        raise InputError(f"{path}: damaged ({error}); give a new --out") from error
    if changed:
        before = ", ".join(f"--{name} {earlier.get(name)}" for name in changed)
        raise InputError(f"{path.parent.parent}: made with {before}; give that, or a new --out")


def _kept(root: Path) -> dict[tuple[int, int], SynthRecording]:
    """Recordings of an earlier run, by the numbers of person and session.

    The true values of a recording are written last, so a recording that has them is complete.
    Raises InputError for a recording without numbers.
    """
    from physkit.data.formats.truth import (
        CONDITIONS_SUFFIX,
        TRUTH_FOLDER,
        read_told,
        read_truth,
    )

    kept = {}
    for name, told in read_told(root).items():
        truth = read_truth(root, name)
        try:
            drawn = told.parameters
            numbers = (int(drawn["subject_number"]), int(drawn["session_number"]))
        except (KeyError, ValueError) as error:
            raise InputError(
                f"{root / TRUTH_FOLDER / name}{CONDITIONS_SUFFIX}: has no subject_number and "
                "session_number; remove it and run the same physkit synth again"
            ) from error
        n_frames = len(truth.pulse.samples)
        kept[numbers] = SynthRecording(name, truth.heart_rate_bpm, n_frames, is_new=False)
    return kept


def _write_all(
    root: Path, config: SynthConfig, plans: "list[RecordingPlan]"
) -> "Iterator[tuple[RecordingPlan, SynthRecording]]":
    """Writes recordings in several processes and yields them as they are finished.

    When it ends, also by Ctrl-C, the processes are ended at once.
    """
    from physkit.core.workers import WorkerDeath, n_cores, run_in_pool
    from physkit.data.formats.writing import clear_unfinished

    workers = min(config.workers or n_cores(), len(plans))
    if workers <= 1:
        for plan in plans:
            yield plan, write_recording(root, config.layout, plan)
        return
    try:
        write = partial(_written, root, config.layout)
        for index, written in run_in_pool(write, plans, workers=workers):
            if isinstance(written, WorkerDeath):
                raise InputError(
                    f"{root}: a process was killed, perhaps for lack of memory; run the same again "
                    "with fewer --workers; finished recordings are kept"
                )
            yield plans[index], written
    finally:
        clear_unfinished(root)


def _written(root: Path, layout: str, plan: "RecordingPlan") -> list[SynthRecording]:
    return [write_recording(root, layout, plan)]


def write_recording(root: Path, layout: str, plan: "RecordingPlan") -> SynthRecording:
    """Renders and writes one recording, then its true values.

    Raises InputError where the folder cannot hold it.
    """
    import cv2

    from physkit.data.formats.truth import write_truth
    from physkit.data.readers import READERS

    cv2.setNumThreads(1)  # each recording has a process to itself
    synthesis = plan.synthesis()
    recording = READERS[layout]().write(root, plan.new_recording(synthesis))
    truth = plan.truth(synthesis)
    write_truth(root, recording.name, truth)
    n_frames = len(truth.pulse.samples)
    return SynthRecording(recording.name, truth.heart_rate_bpm, n_frames, is_new=True)
