"""`physkit.load`: a model with its weights, for use from Python."""

from pathlib import Path
from typing import Any

from physkit.nn.streaming import PulseModel
from physkit.weights.load import load_model
from physkit.weights.manifest import find_weights, known_weights


def load(model: str, weights: str | Path | None = None) -> PulseModel[Any]:
    """The torch module called `model`, in evaluation mode: init_state, step, forward, finish.

    weights: a weights file; None uses those pulled by `physkit weights pull`.
    Raises UnknownNameError for the name, WeightsError for missing, damaged or foreign weights.
    """
    if weights is None:
        return load_model(model, find_weights(model) if model in known_weights() else None)
    return load_model(model, Path(weights))
