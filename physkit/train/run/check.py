"""`physkit validate` and `physkit test`: the weights of a run on people it was not trained on."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from physkit.core.config import NO_EFFECT
from physkit.core.errors import InputError
from physkit.data.windows.config import WindowSource
from physkit.inference.evaluation import EvaluateResult
from physkit.train.run.config import FitConfig

if TYPE_CHECKING:
    from physkit.data.store import StoredRecording
    from physkit.evaluate.predictions import LeftOut
    from physkit.weights.file import WeightsCard

OF_A_RUN = ("best", "last")


@dataclass(frozen=True)
class CheckConfig(FitConfig):
    """The options of a training, so that one file serves both, and how its weights are scored."""

    weights: str = field(default="best", metadata=NO_EFFECT)
    """best or last of the run in out, or a weights file."""


def check_validation(config: CheckConfig, *, progress: bool = False) -> EvaluateResult:
    """Score a run's weights on its validation people, into a folder in validation of the run."""
    return _check(config, "validation", progress=progress)


def check_test(config: CheckConfig, *, progress: bool = False) -> EvaluateResult:
    """Score a run's weights on its test people, into a folder in test of the run."""
    return _check(config, "test", progress=progress)


def _check(config: CheckConfig, purpose: str, *, progress: bool) -> EvaluateResult:
    """Raises PhyskitError for stores or weights that cannot be used, and for people known to the
    weights."""
    from physkit.evaluate.predictions import with_even_conditions, write_predictions
    from physkit.evaluate.scoring import score
    from physkit.inference.evaluation import sources_of
    from physkit.inference.recordings import predict_recordings
    from physkit.train.run.sources import divided
    from physkit.train.run.trainer import accelerator
    from physkit.weights.load import load_model, read_any_weights

    sources = divided(config)[purpose]
    if not sources:
        raise InputError(f"--{purpose}: nobody; name stores and people that the run never saw")
    path = _weights(config)
    card, _ = read_any_weights(path)
    model = load_model(config.model.model, path)
    recordings, damaged = _recordings(sources)
    notes = _check_unseen(path, card, recordings, purpose, config.populations)
    how = config.score
    out = Path(config.out) / purpose / how.label
    out.mkdir(parents=True, exist_ok=True)
    predicted, unread = predict_recordings(
        recordings,
        model,
        chunk_frames=128,
        device="cuda" if accelerator(config) == "gpu" else "cpu",
        threads=config.run.threads,
        progress=progress,
        uses=card.uses,
    )
    left_out = [*damaged, *unread]
    if not predicted:
        raise InputError(f"{purpose}: no recording could be read; {': '.join(left_out[0])}")
    file = out / "predictions.parquet"
    write_predictions(
        with_even_conditions(predicted),
        file,
        sources=sources_of(config.model.model, path, recordings),
    )
    result = score(
        file,
        protocol=how.protocol,
        window_s=how.length_s,
        hr=how.hr,
        out=out,
        left_out=left_out,
    )
    return EvaluateResult(result, config.model.model, out, notes)


def _weights(config: CheckConfig) -> Path:
    if config.weights not in OF_A_RUN:
        return Path(config.weights)
    path = Path(config.out) / f"{config.weights}.safetensors"
    if not path.exists():
        raise InputError(f"{path}: no such file; train it first by physkit fit, with this config")
    return path


def _recordings(
    sources: list[WindowSource],
) -> tuple[list["StoredRecording"], list["LeftOut"]]:
    from physkit.data.store import open_store
    from physkit.inference.recordings import readable_recordings

    recordings: list[StoredRecording] = []
    damaged: list[LeftOut] = []
    for source in sources:
        readable, lost = readable_recordings(open_store(source.store), source.subjects)
        recordings += readable
        damaged += lost
    return recordings, damaged


def _check_unseen(
    path: Path,
    card: "WeightsCard",
    recordings: list["StoredRecording"],
    purpose: str,
    populations: Mapping[str, str],
) -> tuple[str, ...]:
    """A note where the weights do not say whom they know.

    Raises InputError for somebody whom they were trained on, or, in a test, chosen by.
    """
    if card.uses is None:
        return (f"{path} does not say whom it was trained on",)
    known = {person: use for person, use in card.uses.items() if use != purpose}
    for recording in recordings:
        population = populations.get(recording.store, recording.dataset)
        use = known.get((population, recording.subject))
        if use is not None:
            raise InputError(
                f"{recording.place}: subject '{recording.subject}' was used for {use} of {path}; "
                f"leave them out of {purpose}"
            )
    return ()
