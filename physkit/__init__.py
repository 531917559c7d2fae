"""physkit: train, reproduce, evaluate and deploy camera-based pulse models.

What a command does, a function does; each is imported when it is first asked for.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from physkit.pipelines.evaluate import evaluate_model
    from physkit.pipelines.load import load
    from physkit.pipelines.predict import predict
    from physkit.pipelines.score import score

_LAZY = {
    "evaluate_model": "physkit.pipelines.evaluate",
    "load": "physkit.pipelines.load",
    "predict": "physkit.pipelines.predict",
    "score": "physkit.pipelines.score",
}

__all__ = ["evaluate_model", "load", "predict", "score"]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'physkit' has no attribute '{name}'")
    return getattr(importlib.import_module(_LAZY[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_LAZY])
