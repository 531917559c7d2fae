"""physkit: train, reproduce, evaluate and deploy camera-based pulse models.

What a command does, a function does; each is imported when it is first asked for.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from physkit.audit.command import audit
    from physkit.crossdomain.run import crossdomain
    from physkit.data.store import open_store
    from physkit.evaluate.scoring import score
    from physkit.pipelines.evaluate import evaluate_model
    from physkit.pipelines.export import export_model
    from physkit.pipelines.load import load
    from physkit.pipelines.predict import predict
    from physkit.prepare.run import prepare
    from physkit.runtime.session import Session
    from physkit.train.run.config import FitConfig
    from physkit.train.run.fit import fit

_LAZY = {
    "FitConfig": "physkit.train.run.config",
    "Session": "physkit.runtime.session",
    "audit": "physkit.audit.command",
    "crossdomain": "physkit.crossdomain.run",
    "evaluate_model": "physkit.pipelines.evaluate",
    "export_model": "physkit.pipelines.export",
    "fit": "physkit.train.run.fit",
    "load": "physkit.pipelines.load",
    "open_store": "physkit.data.store",
    "predict": "physkit.pipelines.predict",
    "prepare": "physkit.prepare.run",
    "score": "physkit.evaluate.scoring",
}

__all__ = [
    "FitConfig",
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
