"""`physkit predict`: pulse and heart rate of a face video, a camera or a crops file."""

import dataclasses
import math
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from physkit.core.config import from_options
from physkit.core.errors import InputError
from physkit.inference.config import PredictConfig

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from physkit.inference.crops import TimedCrop
    from physkit.inference.readers import Choice
    from physkit.inference.result import PulseResult
    from physkit.inference.waveform import Waveform


def predict(input: str | Path, **options: Any) -> "PulseResult":  # noqa: A002
    """Pulse of `input`; options are the other fields of `PredictConfig`.

    Raises PhyskitError where the input, the weights or an option cannot be used.
    """
    return run(from_options(PredictConfig, input=str(input), **options))


def run(config: PredictConfig, *, progress: bool = False) -> "PulseResult":
    """Do what `physkit predict` does. progress: show a bar on a terminal's standard error."""
    from physkit.inference.faces import read_faces, several_faces
    from physkit.inference.readers import choose_reader
    from physkit.inference.result import PulseResult
    from physkit.runtime.torch_cpu import flushed_denormals, torch_threads

    if config.plot:
        from physkit.inference.plot import check_plot_path, plot_pulse

        check_plot_path(Path(config.plot))
    # More threads than idle cores wait for each other at every op; decoding needs its share.
    with torch_threads(config.compute.threads), flushed_denormals():
        choice = choose_reader(
            config.model,
            config.weights,
            config.runtime,
            threads=config.compute.threads,
            device=config.compute.device,
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
    choice.reader.check_length(config.input)
    faces = read_faces(pulse, waveform.face_numbers, gate=choice.gate)
    reading = faces[0].reading
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
        warnings=(
            *choice.notes,
            *choice.reader.notes(),
            *waveform.warnings,
            *several_faces(faces),
            *reading.warnings,
        ),
        faces=faces,
        heart_rate_from=reading.heart_rate_from,
        certainty=reading.certainty,
        live=waveform.figures,
        clips=tuple(choice.reader.remarks()),
    )
    if config.plot:
        plot_pulse(result, Path(config.plot))
    return result


def _read_live(config: PredictConfig, choice: "Choice", *, progress: bool) -> "Waveform":
    from physkit.inference.live.run import read_live

    return read_live(config, choice, progress=progress)


def _read_waveform(config: PredictConfig, choice: "Choice", *, progress: bool) -> "Waveform":
    """The pulse of a whole file, as fast as it can be read."""
    from physkit.core.progress import ProgressBar
    from physkit.inference.crops import crops_of_file, make_tracker, tracked_crops
    from physkit.inference.prefetch import prefetch
    from physkit.inference.stream import PulseStream
    from physkit.inference.waveform import Waveform
    from physkit.media.frames import CROPS_SUFFIXES
    from physkit.media.open import open_frames

    stream, size = (
        PulseStream(choice.reader, chunk_frames=config.compute.chunk_frames),
        choice.size_px,
    )

    def drain(
        items: "Iterable[TimedCrop]",
        n_frames: int | None,
        detector: str | None,
        warnings: "Callable[[], tuple[str, ...]]",
    ) -> "Waveform":
        length_s = math.inf if config.duration_s is None else config.duration_s
        first_s: float | None = None
        with ProgressBar(items, total=n_frames, unit="frame", shown=progress) as bar:
            for item in bar:
                first_s = item.timestamp_s if first_s is None else first_s
                if item.timestamp_s - first_s >= length_s:
                    break
                stream.push(item)
        pulse = stream.finish()
        return Waveform(pulse, stream.face_numbers, stream.n_seen, detector, warnings=warnings())

    if Path(config.input).suffix.lower() in CROPS_SUFFIXES:
        crops, n_frames, notes = crops_of_file(
            config.input,
            size=size,
            fps=config.fps,
            face=config.face,
        )
        return drain(crops, n_frames, None, lambda: notes)
    tracker, detector = make_tracker(config.face)
    with open_frames(config.input, fps=config.fps) as source:
        crops_ahead = prefetch(
            tracked_crops(source, tracker, size=size), depth=2 * config.compute.chunk_frames
        )
        with closing(crops_ahead):
            return drain(crops_ahead, source.n_frames, detector, lambda: source.warnings)
