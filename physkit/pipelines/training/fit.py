"""`physkit fit`: one network trained on windows of stores."""

from physkit.pipelines.training.config import FitConfig, FitResult


def fit(config: FitConfig, *, progress: bool = False) -> FitResult:
    """Train, validate, and keep the best and the last weights. progress: show a bar."""
    raise NotImplementedError
