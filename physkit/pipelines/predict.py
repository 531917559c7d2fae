"""`physkit predict`: pulse and heart rate of a face video, a camera or a crops file."""

import dataclasses
import math
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from physkit.core.errors import InputError
from physkit.core.registry import unknown_name
from physkit.core.units import MAX_GAP_S
from physkit.face.detect import DETECTORS
from physkit.runtime.engines import ENGINES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from physkit.core.types import Pulse
    from physkit.pipelines.crops import TimedCrop
    from physkit.pipelines.readers import Choice
    from physkit.pipelines.waveform import LiveFigures, Waveform

VIEWS = ("auto", "terminal", "none")


@dataclass(frozen=True)
class PredictConfig:
    """Reads the pulse from a face video, an image folder, a camera or a crops file."""

    input: str
    """Video file, folder of images, camera:N, or face crops (.npy, .npz)."""
    model: str = "auto"
    """facephys, physnet, green, ica, chrom, pbv, pos, lgi or omit; auto: the model that --weights
    belong to, else facephys."""
    weights: str | None = None
    """Weights file of the model: .safetensors, or as released: FacePhys.weights.h5, or a PhysNet
    .pth of rPPG-Toolbox. Or a file of physkit export: .onnx, .tflite or .jax."""
    runtime: str = "auto"
    """What runs the model: onnx, litert or jax for an exported file, else torch or torch-compiled;
    auto: by the suffix of --weights, without them torch."""
    live: bool = False
    """Play the file in real time, as if a camera took it: late frames are dropped, and Ctrl-C ends
    it with what was measured so far. A camera is always live."""
    view: str = "auto"
    """Live view of waveform, heart rate, signal quality and latency: terminal (on standard error)
    or none; auto: terminal where there is one."""
    late_s: float = 0.15
    """Live: once a frame waits that was taken longer ago, in seconds, all but the newest waiting
    are dropped. More makes fewer but longer gaps, and a pulse suffers more from those."""
    detector: str = "auto"
    """haar or blazeface; auto: blazeface where its model file is at hand, else haar."""
    detector_weights: str | None = None
    """Model file of the detector blazeface."""
    fps: float | None = None
    """Frame rate in Hz of an input that has no timestamps."""
    duration_s: float | None = None
    """Stop after so many seconds of input."""
    chunk_frames: int = 64
    """Frames that the model reads at once; changes speed and memory, not the result."""
    threads: int | None = None
    """CPU threads of the model; by default one for an exported file, else half of the cores, since
    decoding needs the others."""
    device: str = "cpu"
    """Torch device: cpu, cuda, cuda:1, ..."""
    plot: str | None = None
    """Draw the waveform and its spectrum into this file (.png, .svg or .pdf)."""

    def __post_init__(self) -> None:
        for option in ("input", "weights", "detector_weights", "plot"):
            if getattr(self, option) == "":
                raise InputError(f"--{option}: empty; leave it out or give a file")
        if self.detector != "auto" and self.detector not in DETECTORS:
            raise unknown_name("detector", self.detector, DETECTORS)
        if self.runtime != "auto" and self.runtime not in ENGINES:
            raise unknown_name("runtime", self.runtime, ("auto", *ENGINES))
        if self.view not in VIEWS:
            raise unknown_name("view", self.view, VIEWS)
        if not 0 < self.late_s <= MAX_GAP_S:
            raise InputError(
                f"--late_s {self.late_s}: must be above 0 and at most {MAX_GAP_S} s, after which "
                "a gap makes the model start anew"
            )
        if self.chunk_frames < 1:
            raise InputError(f"--chunk_frames {self.chunk_frames}: must be at least 1")
        if self.threads is not None and self.threads < 1:
            raise InputError(f"--threads {self.threads}: must be at least 1")
        if self.duration_s is not None and not self.duration_s > 0:
            raise InputError(f"--duration_s {self.duration_s}: must be above 0 s")

    @property
    def is_live(self) -> bool:
        """Whether frames come in real time."""
        return self.live or self.input.startswith("camera:")


@dataclass(frozen=True, eq=False)
class PulseResult:
    """What a clip says about the heart of the person in it."""

    heart_rate_bpm: float | None
    """Beats per minute; None where the clip does not support a number (see warnings)."""
    respiration_rate_bpm: float | None
    """Breaths per minute, or None."""
    signal_quality: float
    """0 (noise) to 1 (clean pulse)."""
    snr_db: float | None
    """Power at the heart rate and its double over the rest of 0.6-3.3 Hz, in dB."""
    hrv: dict[str, Any] | None
    """Heart-rate variability, or None where the clip is too short or not clean enough."""
    fps: float
    """Mean frame rate in Hz by the true timestamps."""
    n_frames: int
    """Frames read."""
    face_coverage: float
    """Share of the frames that show the face."""
    model: str
    """Model that read the pulse."""
    runtime: str
    """What ran it."""
    detector: str | None
    """Face detector; None for prepared crops."""
    pulse: "Pulse"
    """The waveform with its times, NaN where no face was seen."""
    warnings: tuple[str, ...]
    """What to know before believing the numbers."""
    live: "LiveFigures | None" = None
    """How soon frames were answered, of a live run."""

    def to_dict(self) -> dict[str, Any]:
        """The documented JSON object; NaN becomes None."""
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        del fields["pulse"]
        samples = self.pulse.samples.tolist()
        fields["waveform"] = [None if math.isnan(value) else value for value in samples]
        fields["timestamps_s"] = self.pulse.timestamps_s.tolist()
        fields["warnings"] = list(self.warnings)
        fields["live"] = dataclasses.asdict(self.live) if self.live else None
        return fields

    def lines(self) -> list[str]:
        """What a person reads in the terminal."""

        def shown(value: float | None, unit: str) -> str:
            return "-" if value is None else f"{value:.1f} {unit}"

        rows = [
            ("heart rate", shown(self.heart_rate_bpm, "bpm")),
            ("respiration rate", shown(self.respiration_rate_bpm, "breaths/min")),
            ("signal quality", f"{self.signal_quality:.2f} of 1"),
            ("signal to noise", shown(self.snr_db, "dB")),
            ("variability (SDNN)", shown(self.hrv["sdnn_ms"] if self.hrv else None, "ms")),
            ("face seen", f"{self.face_coverage:.0%} of {self.n_frames} frames"),
            ("model", f"{self.model} ({self.runtime}), {self.fps:.1f} frames/s"),
            ("detector", self.detector or "none: prepared crops"),
        ]
        if self.live:
            median, p95 = self.live.latency_median_ms, self.live.latency_p95_ms
            latency = "-" if median is None else f"{median:.0f} ms, 95 % within {p95:.0f} ms"
            rows += [("latency", latency), ("dropped", f"{self.live.dropped_frames} frames")]
        return [
            *(f"{name:20s}{value}" for name, value in rows),
            *(f"warning: {warning}" for warning in self.warnings),
        ]


def predict(input: str | Path, **options: Any) -> PulseResult:  # noqa: A002
    """Pulse of `input`; options are the other fields of `PredictConfig`.

    Raises PhyskitError where the input, the weights or an option cannot be used.
    """
    plain: dict[str, Any] = {k: str(v) if isinstance(v, Path) else v for k, v in options.items()}
    return run(PredictConfig(str(input), **plain))


def run(config: PredictConfig, *, progress: bool = False) -> PulseResult:
    """Do what `physkit predict` does. progress: show a bar on a terminal's standard error."""
    from physkit.pipelines.readers import choose_reader
    from physkit.runtime.torch_cpu import flushed_denormals, torch_threads
    from physkit.signal.reading import read_pulse

    if config.plot:
        from physkit.pipelines.plot import check_plot_path, plot_pulse

        check_plot_path(Path(config.plot))
    # More threads than idle cores wait for each other at every op; decoding needs its share.
    with torch_threads(config.threads), flushed_denormals():
        choice = choose_reader(
            config.model,
            config.weights,
            config.runtime,
            threads=config.threads,
            device=config.device,
            frame_by_frame=config.is_live,
        )
        read = _read_live if config.is_live else _read_waveform
        waveform = read(config, choice, progress=progress)
    pulse, n_frames = waveform.pulse, len(waveform.pulse.samples)
    if waveform.n_seen == 0:
        raise InputError(
            f"{config.input}: no face in any of {n_frames} frames; "
            + "; ".join(waveform.warnings or ("show one upright face, large and well lit",))
        )
    reading = read_pulse(pulse)
    span_s = float(pulse.timestamps_s[-1] - pulse.timestamps_s[0])
    result = PulseResult(
        heart_rate_bpm=reading.heart_rate_bpm,
        respiration_rate_bpm=reading.respiration_rate_bpm,
        signal_quality=reading.signal_quality,
        snr_db=reading.snr_db,
        hrv=dataclasses.asdict(reading.hrv) if reading.hrv else None,
        fps=(n_frames - 1) / span_s if span_s > 0 else 0.0,
        n_frames=n_frames,
        face_coverage=waveform.n_seen / n_frames,
        model=choice.model,
        runtime=choice.runtime,
        detector=waveform.detector,
        pulse=pulse,
        warnings=(*choice.notes, *waveform.warnings, *reading.warnings),
        live=waveform.figures,
    )
    if config.plot:
        plot_pulse(result, Path(config.plot))
    return result


def _read_live(config: PredictConfig, choice: "Choice", *, progress: bool) -> "Waveform":
    from physkit.pipelines.live.run import read_live

    return read_live(config, choice, progress=progress)


def _read_waveform(config: PredictConfig, choice: "Choice", *, progress: bool) -> "Waveform":
    """The pulse of a whole file, as fast as it can be read."""
    from tqdm import tqdm

    from physkit.media.frames import CROPS_SUFFIXES, open_frames
    from physkit.pipelines.crops import crops_of_file, make_tracker, tracked_crops
    from physkit.pipelines.prefetch import prefetch
    from physkit.pipelines.stream import PulseStream
    from physkit.pipelines.waveform import Waveform

    stream, size = PulseStream(choice.reader, chunk_frames=config.chunk_frames), choice.size_px

    def drain(
        items: "Iterable[TimedCrop]", n_frames: int | None, detector: str | None
    ) -> "Waveform":
        hidden = None if progress else True
        length_s = math.inf if config.duration_s is None else config.duration_s
        first_s: float | None = None
        with tqdm(items, total=n_frames, unit="frame", disable=hidden, leave=False) as bar:
            for item in bar:
                first_s = item.timestamp_s if first_s is None else first_s
                if item.timestamp_s - first_s >= length_s:
                    break
                stream.push(item)
        return Waveform(stream.finish(), stream.n_seen, detector)

    if Path(config.input).suffix.lower() in CROPS_SUFFIXES:
        crops, n_frames = crops_of_file(
            config.input,
            size=size,
            fps=config.fps,
            detector=config.detector,
            detector_weights=config.detector_weights,
        )
        return drain(crops, n_frames, None)
    tracker, detector = make_tracker(config.detector, config.detector_weights)
    with open_frames(config.input, fps=config.fps) as source:
        crops_ahead = prefetch(
            tracked_crops(source, tracker, size=size), depth=2 * config.chunk_frames
        )
        with closing(crops_ahead):
            return drain(crops_ahead, source.n_frames, detector)
