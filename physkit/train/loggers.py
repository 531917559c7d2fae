"""Where a run is logged, by name. Packages are imported when their logger is asked for."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lightning.pytorch.loggers import Logger

from physkit.core.errors import MissingExtraError
from physkit.train import LOGGERS
from physkit.train.callbacks.log import COLUMNS
from physkit.train.csv_log import CsvLog


@dataclass(frozen=True)
class LogPlace:
    """What a logger is told."""

    folder: Path
    """Folder of the run."""
    run: str
    """Name of the run, the same when it is resumed."""
    after_step: int = 0
    """Step that a resumed run goes on after; 0: a new run."""
    wandb_project: str = "physkit"
    """Project in W&B."""
    is_online: bool = False
    """Whether W&B sends its files."""


def make_loggers(names: Sequence[str], place: LogPlace) -> list[Logger]:
    """Loggers by name. Raises UnknownNameError, or MissingExtraError with the extra to install."""
    return [LOGGERS[name](place) for name in names]


def close_loggers(loggers: Sequence[Logger]) -> None:
    """End what they have open: W&B would go on with the same run in the next training."""
    from lightning.pytorch.loggers import WandbLogger

    if any(isinstance(logger, WandbLogger) for logger in loggers):
        import wandb as package

        if package.run is not None:
            package.finish()


def csv(place: LogPlace) -> Logger:
    """metrics.csv in the run's folder."""
    return CsvLog(place.folder / "metrics.csv", COLUMNS, after_step=place.after_step)


def tensorboard(place: LogPlace) -> Logger:
    """Event files in the folder tensorboard of the run."""
    from lightning.pytorch.loggers import TensorBoardLogger

    try:
        return TensorBoardLogger(
            place.folder,
            name="tensorboard",
            version="",
            # what a killed run logged after its last state counts no more
            purge_step=place.after_step + 1 if place.after_step else None,
        )
    except ModuleNotFoundError as error:
        raise _missing("tensorboard", error) from error


def wandb(place: LogPlace) -> Logger:
    """A run of W&B, whose files lie in the folder wandb of the run; offline unless told."""
    from lightning.pytorch.loggers import WandbLogger

    try:
        from wandb import Settings

        return WandbLogger(
            name=place.folder.name,
            save_dir=place.folder,
            project=place.wandb_project,
            id=place.run,
            resume="allow",
            offline=not place.is_online,
            settings=Settings(silent=not place.is_online),  # online it tells where to look
        )
    except ModuleNotFoundError as error:
        raise _missing("wandb", error) from error


def _missing(name: str, error: ModuleNotFoundError) -> MissingExtraError:
    return MissingExtraError(
        f"logger '{name}' needs a package that is not installed ({error.name or error}): "
        f"pip install 'physkit[{name}]'"
    )
