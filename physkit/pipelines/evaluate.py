"""`physkit evaluate`: a model's pulse for every recording of a store, and its metrics."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from physkit.core.config import Names, from_options
from physkit.core.errors import InputError
from physkit.evaluate.config import ScoreConfig
from physkit.runtime.config import ComputeConfig

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
    """Model: {registry model}; auto: the one that --weights belong to, else facephys."""
    weights: str | None = None
    """Weights file of the model: .safetensors, or as released: FacePhys.weights.h5, or a PhysNet
    .pth of rPPG-Toolbox."""
    score: ScoreConfig = field(default_factory=ScoreConfig)
    """How pulses become figures."""
    subjects: Names | None = None
    """Only these people of the store, as in [a,b]; by default all."""
    compute: ComputeConfig = field(default_factory=ComputeConfig)
    """What the model runs on."""


def evaluate_model(data: str | Path, out: str | Path, **options: Any) -> "EvaluateResult":
    """Score a model on a store; options are the other fields of `EvaluateConfig`.

    Raises PhyskitError where the store, the weights, an option or the folder cannot be used.
    """
    return run(from_options(EvaluateConfig, data=str(data), out=str(out), **options))


def run(config: EvaluateConfig, *, progress: bool = False) -> "EvaluateResult":
    """Do what `physkit evaluate` does. progress: show a bar on a terminal's standard error."""
    from physkit.data.store import open_store
    from physkit.evaluate.predictions import with_even_conditions, write_predictions
    from physkit.evaluate.scoring import score
    from physkit.inference.evaluation import EvaluateResult, sources_of
    from physkit.inference.inference import choose_weights, known_people
    from physkit.inference.recordings import predict_recordings, readable_recordings
    from physkit.weights.load import load_model

    store = open_store(config.data)
    recordings, damaged = readable_recordings(store, config.subjects)
    name, weights, notes = choose_weights(config.model, config.weights)
    model = load_model(name, weights)
    out = Path(config.out)
    try:
        out.mkdir(parents=True, exist_ok=True)  # before the work, which may take hours
    except OSError as error:
        raise InputError(f"{out}: cannot be made ({error}); choose another --out") from error
    predicted, unread = predict_recordings(
        recordings,
        model,
        chunk_frames=config.compute.chunk_frames,
        device=config.compute.device,
        threads=config.compute.threads,
        progress=progress,
        uses=known_people(weights),
    )
    left_out = [*damaged, *unread]
    if not predicted:
        raise InputError(f"{config.data}: no recording could be read; {': '.join(left_out[0])}")
    write_predictions(
        with_even_conditions(predicted),
        out / "predictions.parquet",
        sources=sources_of(name, weights, recordings),
    )
    result = score(
        out / "predictions.parquet",
        protocol=config.score.protocol,
        window_s=config.score.length_s,
        hr=config.score.hr,
        out=out,
        left_out=left_out,
    )
    return EvaluateResult(result, name, out, notes)
