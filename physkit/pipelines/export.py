"""`physkit export`: deployable artifacts of a FacePhys, and the proof that they are the same."""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from physkit.core.config import Counts, Names
from physkit.core.errors import InputError
from physkit.core.registry import unknown_name
from physkit.core.table import cell, labelled, table

if TYPE_CHECKING:
    from physkit.export.parity import Parity, Reference
    from physkit.export.target import Calibration, ExportRequest
    from physkit.models.facephys.network import FacePhys
    from physkit.nn.clip_network import ClipNetwork
    from physkit.runtime.session import Session

PRECISIONS = ("fp32", "fp16", "int8")
PARITY_FILE = "parity.json"


@dataclass(frozen=True)
class ExportConfig:
    """Writes a FacePhys for phones, servers and web pages, and checks every file against float64
    torch. A network that reads clips is written as ONNX, one clip a call."""

    out: str
    """Folder for the artifacts, their states and parity.json."""
    weights: str | None = None
    """FacePhys weights; by default those that predict would use."""
    targets: Names | None = None
    """Of {registry export target}; by default all of them."""
    precisions: Names | None = None
    """fp32, fp16 (weights kept in half precision), int8; by default what each target has of fp32
    and int8."""
    chunks: Counts | None = None
    """Also artifacts that take so many frames at once, in fp32."""
    state_dtype: Literal["float32", "float16"] = "float32"
    """How states are kept between frames; float16 takes half of their 2 MB."""
    fps: float | None = None
    """For a camera of one rate: artifacts that take no frame times. By default they do."""
    calibration: str = "synthetic"
    """Video or crops file of a face, from which ranges of int8 are read (ONNX); synthetic: six
    people drawn on the spot."""
    clip: str = "synthetic"
    """Video or crops file that the artifacts are checked on; synthetic: another drawn person."""
    frames: int = 1000
    """Frames of that check; a shorter clip is repeated."""

    def __post_init__(self) -> None:
        from physkit.export import TARGETS

        for name in self.targets or ():
            if name not in TARGETS:
                raise unknown_name("export target", name, TARGETS)
        for name in self.precisions or ():
            if name not in PRECISIONS:
                raise unknown_name("precision", name, PRECISIONS)
        if min(self.chunks or [2]) < 2:
            raise InputError(f"--chunks {self.chunks}: a chunk has 2 frames or more")
        if max(self.chunks or [0]) > self.frames:
            raise InputError(
                f"--chunks {self.chunks}: longer than the check, --frames {self.frames}; raise that"
            )
        if self.fps is not None and not 1 <= self.fps <= 1000:
            raise InputError(f"--fps {self.fps}: must be 1 to 1000 frames a second")
        if self.frames < 2:
            raise InputError(f"--frames {self.frames}: must be at least 2")
        if not self.out:
            raise InputError("--out: empty; give a folder")


@dataclass(frozen=True)
class ExportedFile:
    """One artifact."""

    path: Path
    """Where it lies."""
    size_mb: float
    """Its size in units of 1,000,000 bytes."""
    parity: "Parity"
    """How far it is from the definition."""


@dataclass(frozen=True)
class ExportResult:
    """What was written, and how exact it is."""

    files: tuple[ExportedFile, ...]
    """Artifacts, each of them checked."""
    states: Path | None
    """The states before the first frame, which all begin with; None of networks of clips."""
    report: Path
    """The figures as JSON."""
    clip: str
    """What they were checked on."""

    @property
    def exit_status(self) -> int:
        """1 where an artifact breaks a limit."""
        return int(any(file.parity.failures for file in self.files))

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        files = [
            {"path": str(file.path), "size_mb": file.size_mb, **file.parity.to_dict()}
            for file in self.files
        ]
        return {"clip": self.clip, "states": self.states and str(self.states), "files": files}

    def lines(self) -> list[str]:
        """A table, and below it what breaks a limit."""
        head = "artifact", "MB", "largest", "rms", "correlation", "heart rate", "off by", "drift"
        rows = []
        for file in self.files:
            found = file.parity
            rates = cell(found.heart_rate_bpm, ".2f"), cell(found.heart_rate_error_bpm, ".2f")
            drift = max(found.state_drift.values(), default=math.nan)  # no chunk ended there
            errors = f"{found.max_error:.2e}", f"{found.rms_error:.2e}", f"{found.correlation:.7f}"
            rows.append((file.path.name, f"{file.size_mb:.2f}", *errors, *rates, f"{drift:.1e}"))
        failures = [f"{f.path}: {why}" for f in self.files for why in f.parity.failures]
        n_frames = self.files[0].parity.n_frames if self.files else 0
        return [
            *table(head, rows),
            f"against float64 torch, frame by frame, {n_frames} frames of {self.clip}",
            *(f"beyond its limit: {failure}" for failure in failures),
            *labelled([("report", str(self.report))]),
        ]


def export_model(weights: str | Path | None, out: str | Path, **options: Any) -> ExportResult:
    """Artifacts of `weights` in `out`; options are the other fields of `ExportConfig`.

    Raises PhyskitError where the weights, the folder or an option cannot be used.
    """
    return run(ExportConfig(str(out), None if weights is None else str(weights), **options))


def run(config: ExportConfig, *, progress: bool = False) -> ExportResult:
    """Do what `physkit export` does. progress: show a bar on a terminal's standard error."""
    from physkit.core.files import whole_file
    from physkit.core.progress import ProgressBar
    from physkit.export import TARGETS
    from physkit.export.target import write_states
    from physkit.inference.clip import SYNTHETIC, continued, read_calibration, read_clip
    from physkit.inference.inference import crop_size_px, load_clip_network, load_deployable
    from physkit.runtime.torch_cpu import torch_threads

    if clips := load_clip_network(config.weights):
        return _run_clips(config, *clips)
    net, weights_sha256 = load_deployable(config.weights)
    size, folder = crop_size_px(net), Path(config.out)
    jobs = [
        (target, request)
        for target in (TARGETS[name]() for name in config.targets or TARGETS)
        for request in _requests(config, target.precisions, weights_sha256)
    ]
    for target, request in jobs:
        target.check(request)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: cannot be made ({error}); choose another --out") from error
    clip = continued(read_clip(config.clip, size=size), config.frames)
    if config.fps is not None:
        clip.dt_s[:] = 1 / config.fps
    if any(target.calibrates_int8 and request.precision == "int8" for target, request in jobs):
        calibration = read_calibration(config.calibration, size=size)
        jobs = [(target, replace(request, calibration=calibration)) for target, request in jobs]
    states = write_states(folder, net, weights_sha256)
    paths = []
    for target, request in (bar := ProgressBar(jobs, unit="file", shown=progress)):
        path = folder / request.file_name(target.suffix)
        bar.set_description(path.name)
        target.write(net, request, path)
        paths.append(path)
    with torch_threads(1):  # one frame at a time is too little for more
        files = tuple(_checked(net, paths, clip, is_drawn=config.clip == SYNTHETIC))
    report = folder / PARITY_FILE
    told = "a synthetic person" if config.clip == SYNTHETIC else config.clip
    result = ExportResult(files, states, report, told)
    with whole_file(report) as unfinished:
        unfinished.write_text(json.dumps(result.to_dict(), indent=1), encoding="utf-8")
    return result


def _run_clips(config: ExportConfig, net: "ClipNetwork", weights_sha256: str) -> ExportResult:
    """A network of clips, as ONNX in fp32, checked on the first clip's length of `config.clip`.

    Raises InputError for what only a network of frames can be exported to.
    """
    from physkit.core.files import whole_file
    from physkit.export.clips import check_clip_network, write_clip_network
    from physkit.inference.clip import SYNTHETIC, continued, read_clip
    from physkit.inference.inference import crop_size_px

    model, given = net.config.model, (config.targets or ["onnx"], config.precisions or ["fp32"])
    if given != (["onnx"], ["fp32"]) or config.chunks or config.state_dtype != "float32":
        raise InputError(
            f"{model} reads clips of {net.clip_frames} frames: it is exported as onnx in fp32, one "
            "clip a call; leave --targets, --precisions, --chunks and --state_dtype out"
        )
    folder = Path(config.out)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: cannot be made ({error}); choose another --out") from error
    clip = continued(read_clip(config.clip, size=crop_size_px(net)), net.clip_frames)
    path = folder / f"{model}_clip{net.clip_frames}_fp32.onnx"
    card = write_clip_network(net, path, weights_sha256=weights_sha256)
    is_drawn = config.clip == SYNTHETIC
    parity = check_clip_network(net, path, card, clip, is_drawn=is_drawn)
    files = (ExportedFile(path, path.stat().st_size / 1e6, parity),)
    told = "a synthetic person" if is_drawn else config.clip
    result = ExportResult(files, None, folder / PARITY_FILE, told)
    with whole_file(result.report) as unfinished:
        unfinished.write_text(json.dumps(result.to_dict(), indent=1), encoding="utf-8")
    return result


def _requests(
    config: ExportConfig,
    by_default: tuple[str, ...],
    weights_sha256: str,
) -> "Iterator[ExportRequest]":
    from physkit.export.target import ExportRequest

    common: dict[str, Any] = {
        "weights_sha256": weights_sha256,
        "state_dtype": config.state_dtype,
        "fixed_dt_s": None if config.fps is None else 1 / config.fps,
    }
    for precision in config.precisions or by_default:
        yield ExportRequest(precision=precision, **common)  # type: ignore[arg-type]
    for n_frames in config.chunks or ():
        yield ExportRequest(form="chunk", n_frames=n_frames, **common)


def _checked(
    net: "FacePhys", paths: list[Path], clip: "Calibration", *, is_drawn: bool
) -> "Iterator[ExportedFile]":
    """Every artifact, run by its own runtime over the clip."""
    from physkit.export.parity import compare, reference
    from physkit.runtime.session import Session

    n_frames = len(clip.frames)
    marks = (max(1, n_frames // 10), n_frames)
    truth = reference(net, clip.frames, clip.dt_s, marks)
    for path in paths:
        session = Session(path)
        answer = _answer(net, session, clip, marks)
        n_read = len(answer.pulse)
        parity = compare(
            session.card,
            answer,
            truth.first(n_read),
            artifact=path.name,
            runtime=session.runtime,
            is_drawn=is_drawn,
        )
        yield ExportedFile(path, path.stat().st_size / 1e6, parity)


def _answer(
    net: "FacePhys", session: "Session", clip: "Calibration", marks: tuple[int, ...]
) -> "Reference":
    """What an artifact answers to the clip, in whole calls."""
    import numpy as np

    from physkit.export.parity import Reference, canonical

    n = session.card.n_frames
    pulses, states = [], {}
    for first in range(0, len(clip.frames) - n + 1, n):
        chunk = slice(first, first + n)
        pulses.append(session.advance(clip.frames[chunk], clip.dt_s[chunk]))
        if first + n in marks:
            states[first + n] = canonical(net, session.states(), session.card.order)
    pulse = np.concatenate(pulses)
    return Reference(pulse, states, np.cumsum(clip.dt_s[: len(pulse)], dtype=np.float64))
