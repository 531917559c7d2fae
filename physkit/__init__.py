"""physkit: train, reproduce, evaluate and deploy camera-based pulse models.

What a command does, a function does; each is imported when it is first asked for.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from physkit.data.store import open_store
    from physkit.pipelines.audit.command import audit
    from physkit.pipelines.crossdomain.run import crossdomain
    from physkit.pipelines.evaluate import evaluate_model
    from physkit.pipelines.export import export_model
    from physkit.pipelines.load import load
    from physkit.pipelines.predict import predict
    from physkit.pipelines.prepare.run import prepare
    from physkit.pipelines.score import score
    from physkit.pipelines.training.fit import fit
    from physkit.runtime.session import Session

_LAZY = {
    "Session": "physkit.runtime.session",
    "audit": "physkit.pipelines.audit.command",
    "crossdomain": "physkit.pipelines.crossdomain.run",
    "evaluate_model": "physkit.pipelines.evaluate",
    "export_model": "physkit.pipelines.export",
    "fit": "physkit.pipelines.training.fit",
    "load": "physkit.pipelines.load",
    "open_store": "physkit.data.store",
    "predict": "physkit.pipelines.predict",
    "prepare": "physkit.pipelines.prepare.run",
    "score": "physkit.pipelines.score",
}

__all__ = [
    "Session",
    "audit",
    "crossdomain",
    "evaluate_model",
    "export_model",
    "fit",
    "load",
    "open_store",
    "predict",
    "prepare",
    "score",
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'physkit' has no attribute '{name}'")
    return getattr(importlib.import_module(_LAZY[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_LAZY])
