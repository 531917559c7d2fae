"""State and weights of a run on disk: whole at any moment, and all that it resumes from."""

import os
import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.plugins.io import TorchCheckpointIO
from lightning.pytorch.utilities.exceptions import SIGTERMException
from torch import Tensor

from physkit.core.causes import first_line
from physkit.core.errors import InputError
from physkit.train.callbacks.keep import KeepWeights
from physkit.train.module import NET, PulseModule, StepCallback

SaveWeights = Callable[[Path, Mapping[str, Tensor], Mapping[str, Any]], None]
"""Writes weights to a path, with figures about them."""

UNFINISHED = ".unfinished"
DAMAGED = (
    OSError,
    EOFError,
    pickle.UnpicklingError,
    RuntimeError,
    ValueError,
    LookupError,
    TypeError,
)
"""What torch makes of a file that is not what it should be."""


class WholeFileIO(TorchCheckpointIO):
    """Checkpoints that are written whole or not at all, and read without running code; of those
    called .safetensors the weights alone. Lightning knows neither.

    save_weights: writes a weights file; called in the first process only.
    """

    def __init__(self, save_weights: SaveWeights) -> None:
        self._save_weights = save_weights

    def save_checkpoint(
        self,
        checkpoint: dict[str, Any],
        path: Any,
        storage_options: Any = None,  # noqa: ARG002
    ) -> None:
        """Write beside the file, then put it in its place.

        Raises InputError where it cannot be written; the file before it is kept.
        """
        if Path(path).suffix == KeepWeights.FILE_EXTENSION:
            tensors = {k.removeprefix(NET): v for k, v in checkpoint["state_dict"].items()}
            self._save_weights(Path(path), tensors, checkpoint["physkit"]["metrics"])
            return
        unfinished = Path(f"{path}{UNFINISHED}")
        try:
            torch.save(checkpoint, unfinished)
            os.replace(unfinished, path)
        except (OSError, RuntimeError) as error:
            unfinished.unlink(missing_ok=True)
            raise InputError(
                f"{path}: cannot be written ({error}); free some space, and go on by "
                "--run.resume true"
            ) from error

    def load_checkpoint(self, path: Any, *_: Any, **__: Any) -> dict[str, Any]:
        """A checkpoint, on the CPU. Raises InputError for a damaged one."""
        return read_state(Path(path))


def read_state(path: Path) -> dict[str, Any]:
    """The state of a run. Raises InputError for a file that is none."""
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except DAMAGED as error:
        reason = first_line(error)
        raise InputError(
            f"{path}: not the state of a run, or damaged ({reason}); remove it to begin anew"
        ) from error
    if not (isinstance(state, dict) and "physkit" in state):
        raise InputError(f"{path}: not the state of a run by physkit; give another --out")
    return state


class KeepState(Checkpoint, StepCallback):
    """Writes the state every so many optimizer steps, after each validation, and when it must end.

    Lightning's ModelCheckpoint saves before the step is logged, so that a killed run would lack a
    row of its log, and between a step and the validation that is due. Must come after all callbacks
    whose state it saves.

    must_end: whether somebody wishes the run to end; then KeyboardInterrupt follows.
    """

    def __init__(
        self, path: Path, *, every: int, validate_every: int, must_end: Callable[[], bool]
    ) -> None:
        self.path = path
        self.every = every
        self.validate_every = validate_every
        self.must_end = must_end
        self.step = 0
        """Optimizer steps of the state in the file, where this run wrote it."""

    def on_between_batches(self, trainer: Trainer, pl_module: PulseModule) -> None:
        """Save, where it is time to, and no validation did."""
        if not pl_module.has_stepped:
            return
        step, must_end = trainer.global_step, self.must_end()
        if trainer.world_size > 1:
            must_end = trainer.strategy.reduce_boolean_decision(must_end, all=False)
        if step % self.validate_every and (must_end or step % self.every == 0):
            pl_module.check_weights()
            self._save(trainer)
        if must_end:
            raise KeyboardInterrupt

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """Save."""
        if trainer.state.fn == "fit":
            self._save(trainer)

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        """Save on SIGTERM, by which Lightning ends after a batch is logged and validated."""
        assert isinstance(pl_module, PulseModule)
        is_new = trainer.global_step > self.step and pl_module.has_stepped
        if isinstance(exception, SIGTERMException) and is_new:
            pl_module.check_weights()
            self._save(trainer)

    def _save(self, trainer: Trainer) -> None:
        trainer.save_checkpoint(self.path)
        self.step = trainer.global_step


class EndOfBudget(Callback):
    """Ends the run when its steps or its time are used up; a last validation follows.

    Lightning's `max_steps` ends without one, and its Timer tells no schedule how much is done.
    """

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        """Stop, where it is time to."""
        assert isinstance(pl_module, PulseModule)
        if pl_module.has_stepped and pl_module.progress >= 1:
            trainer.should_stop = True
