"""`physkit evaluate`: a model's pulse for every recording of a store, and its metrics."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from physkit.core.errors import InputError

if TYPE_CHECKING:
    from physkit.inference.evaluation import EvaluateResult


@dataclass(frozen=True)
class EvaluateConfig:
    """Reads the pulse of a prepared data set and scores it against the contact sensor."""

    data: str
    """Store that physkit prep wrote."""
    out: str
    """Folder for predictions.parquet, metrics.json, windows.parquet and report.html."""
    model: str = "auto"
    """facephys, physnet, green, ica, chrom, pbv, pos, lgi or omit; auto: the model that --weights
    belong to, else facephys."""
    weights: str | None = None
    """Weights file of the model: .safetensors, or as released: FacePhys.weights.h5, or a PhysNet
    .pth of rPPG-Toolbox."""
    protocol: str = "physkit-1"
    """toolbox-2023, toolbox-2024-06, toolbox-2024-12, toolbox-2025-03, physllm or physkit-1."""
    window_s: float | Literal["inf"] | None = None
    """Window length in seconds; by default the whole recording, and 30 s every second under
    physkit-1; inf is always the whole recording."""
    hr: Literal["fft", "peak"] = "fft"
    """Heart rate from the spectrum, or from the intervals between peaks."""
    subjects: list[str] | None = None
    """Only these people of the store, as in [a,b]; by default all."""
    chunk_frames: int = 128
    """Frames that the model reads at once; changes speed and memory, not the result."""
    threads: int | None = None
    """CPU threads of the model; by default half of the cores."""
    device: str = "cpu"
    """Torch device: cpu, cuda, cuda:1, ..."""

    def __post_init__(self) -> None:
        if self.chunk_frames < 1:
            raise InputError(f"--chunk_frames {self.chunk_frames}: must be at least 1")
        if self.threads is not None and self.threads < 1:
            raise InputError(f"--threads {self.threads}: must be at least 1")


def evaluate_model(data: str | Path, out: str | Path, **options: Any) -> "EvaluateResult":
    """Score a model on a store; options are the other fields of `EvaluateConfig`.

    Raises PhyskitError where the store, the weights, an option or the folder cannot be used.
    """
    plain: dict[str, Any] = {k: str(v) if isinstance(v, Path) else v for k, v in options.items()}
    return run(EvaluateConfig(str(data), str(out), **plain))


def run(config: EvaluateConfig, *, progress: bool = False) -> "EvaluateResult":
    """Do what `physkit evaluate` does. progress: show a bar on a terminal's standard error."""
    from physkit.data.store import open_store
    from physkit.evaluate.predictions import write_predictions
    from physkit.evaluate.protocols import find_protocol
    from physkit.evaluate.scoring import score
    from physkit.inference.evaluation import EvaluateResult
    from physkit.inference.inference import choose_model
    from physkit.inference.recordings import predict_recordings, readable_recordings

    find_protocol(config.protocol)
    store = open_store(config.data)
    recordings, damaged = readable_recordings(store, config.subjects)
    name, model, notes = choose_model(config.model, config.weights)
    out = Path(config.out)
    try:
        out.mkdir(parents=True, exist_ok=True)  # before the work, which may take hours
    except OSError as error:
        raise InputError(f"{out}: cannot be made ({error}); choose another --out") from error
    predicted, unread = predict_recordings(
        recordings,
        model,
        chunk_frames=config.chunk_frames,
        device=config.device,
        threads=config.threads,
        progress=progress,
    )
    left_out = [*damaged, *unread]
    if not predicted:
        raise InputError(f"{config.data}: no recording could be read; {': '.join(left_out[0])}")
    write_predictions(predicted, out / "predictions.parquet")
    result = score(
        out / "predictions.parquet",
        protocol=config.protocol,
        window_s=float("inf") if config.window_s == "inf" else config.window_s,
        hr=config.hr,
        out=out,
    )
    return EvaluateResult(result, name, tuple(left_out), out, notes)
