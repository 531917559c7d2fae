"""`physkit.load`: a model with its weights, for use from Python."""

from pathlib import Path
from typing import Any

from physkit.nn.streaming import PulseModel
from physkit.weights.load import load_model
from physkit.weights.manifest import weights_at_hand


def load(model: str, weights: str | Path | None = None) -> PulseModel[Any]:
    """The torch module called `model`, in evaluation mode: init_state, step, forward, finish.

    weights: a weights file; None uses those pulled by `physkit weights pull`, else our own.
    Raises UnknownNameError for the name, WeightsError for missing, damaged or foreign weights.
    """
    if weights is None:
        found = weights_at_hand(model)
        return load_model(model, found[1] if found else None)
    return load_model(model, Path(weights))
