"""The Lightning module of any network."""

import copy
import time
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np
import torch
from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor, nn
from torch.distributed.fsdp import FullyShardedDataParallel

from physkit.core.errors import InputError, PhyskitError
from physkit.data.datamodule import Batch, opened
from physkit.evaluate.predictions import PredictedRecording
from physkit.nn.streaming import PulseModel
from physkit.train import MODULES
from physkit.train.budget import Budget, BudgetLR, RateShare
from physkit.train.clips import as_input, clip_pulse, stream_pulse
from physkit.train.objective import Objective
from physkit.train.together import gathered, raise_together
from physkit.train.validation import Part, Validation, predicted, validation_of

MakeOptimizer = Callable[[list[dict[str, Any]]], torch.optim.Optimizer]

NET = "net."
"""What stands before a network's names in the state of its module."""


def module_class(model: str) -> "type[PulseModule]":
    """The Lightning module of the model called so."""
    if model not in MODULES:
        return PulseModule
    made: type[PulseModule] = MODULES[model]
    return made


class StepCallback(Callback):
    """A callback with a hook that Lightning lacks: between two batches, when the first is logged
    and validated and nothing is known of the second."""

    def on_between_batches(self, trainer: Trainer, pl_module: "PulseModule") -> None:
        """Called before each batch of a training."""


class PulseModule(LightningModule):
    """Trains any `PulseModel` on batches of windows, and validates it by heart-rate errors.

    make_optimizer: the optimizer of parameter groups.
    lr: largest learning rate of groups that name none; rate_share: how much of it a step takes.
    seed: decides what a network draws at random in each step, such as dropout.
    record: goes into every checkpoint, so that what resumes can be compared with it.
    clips_kept: validation windows of each process that are kept to be drawn.
    validates_whole: validation windows are the stretches of recordings, each of which counts once.
    Raises InputError for checkpoint_frames where the network reads clips whole.
    """

    recomputes: ClassVar[bool] = False
    """Whether the backward pass can compute parts of a clip anew."""

    def __init__(
        self,
        net: PulseModel[Any],
        objective: Objective,
        *,
        make_optimizer: MakeOptimizer,
        lr: float,
        rate_share: RateShare,
        budget: Budget,
        clip_norm: float | None = None,
        checkpoint_frames: int | None = None,
        seed: int = 0,
        record: Mapping[str, Any] | None = None,
        clips_kept: int = 0,
        validates_whole: bool = True,
    ) -> None:
        super().__init__()
        if checkpoint_frames is not None and not self.recomputes:
            raise InputError(
                f"{type(net).__name__}: is trained on whole clips, and cannot compute parts of "
                "them anew; leave --trainer.checkpoint_frames out"
            )
        self.net = net
        self.objective = objective
        self.make_optimizer = make_optimizer
        self.learning_rate = lr
        self.rate_share = rate_share
        self.budget = budget
        self.clip_norm = clip_norm
        self.checkpoint_frames = checkpoint_frames
        self.seed = seed
        self.record = dict(record or {})
        self.clips_kept = clips_kept
        self.validates_whole = validates_whole
        self.strict_loading = False  # frozen weights are in no checkpoint; see on_load_checkpoint
        self.validation: Validation | None = None
        """Figures of the last validation."""
        self.last_loss = float("nan")
        """Loss of the last step, over its batches and all processes."""
        self.losses: list[Tensor] = []
        """Mean loss of each batch of the last step."""
        self._kept = frozenset(net.trained_state_dict())
        self._grad_norm = self._lr = float("nan")
        self._names: list[str] = []
        self._step_before = 0
        self._seconds_before = 0.0
        self._started_s = time.monotonic()
        self._parts: list[Part] = []
        self._clips: list[PredictedRecording] = []
        self._problem: str | None = None

    def __deepcopy__(self, memo: dict[int, Any]) -> "PulseModule":
        """A copy, as an average of weights needs it, that shares the frozen weights."""
        memo.update({id(p): p for p in self.parameters() if not p.requires_grad})
        made = self.__class__.__new__(self.__class__)
        memo[id(self)] = made
        made.__setstate__(copy.deepcopy(self.__getstate__(), memo))  # type: ignore[no-untyped-call]
        return made

    @property
    def elapsed_s(self) -> float:
        """Seconds of training so far, those before a resumption included."""
        return self._seconds_before + time.monotonic() - self._started_s

    @property
    def has_stepped(self) -> bool:
        """Whether the batch that just ended made the optimizer step."""
        return bool(self.trainer.global_step > self._step_before)

    @property
    def progress(self) -> float:
        """Share of the run that is done; the same in all processes."""
        return self._progress_at(self.trainer.global_step)

    def _progress_at(self, step: int) -> float:
        elapsed_s = self.elapsed_s
        if self.budget.max_seconds:
            elapsed_s = self.trainer.strategy.broadcast(elapsed_s)
        return self.budget.progress(step, elapsed_s)

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """The optimizer of the network's parameter groups, and a schedule of steps and time."""
        optimizer = self.make_optimizer(self.net.parameter_groups(self.learning_rate))
        scheduler = BudgetLR(
            optimizer, lambda step: self.rate_share.at(step, self._progress_at(step))
        )
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": scheduler, "interval": "step"},
        }

    def on_fit_start(self) -> None:
        """Start the clock."""
        self._started_s = time.monotonic()

    def on_train_start(self) -> None:
        """Begin at the step that the run goes on from."""
        self._step_before = self.trainer.global_step

    def on_before_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:  # noqa: ARG002
        """Call what is to happen between batches."""
        if self.trainer.training:
            for callback in self.trainer.callbacks:  # type: ignore[attr-defined]
                if isinstance(callback, StepCallback):
                    callback.on_between_batches(self.trainer, self)
        return batch

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:  # noqa: ARG002
        """Randomness of this batch, by its number alone."""
        step = self.trainer.global_step
        if step > self._step_before or not self.losses:
            self.losses, self._names = [], []
        self._step_before = step
        self._lr = max(group["lr"] for group in self.trainer.optimizers[0].param_groups)
        entropy = (self.seed, self.trainer.fit_loop.total_batch_idx, self.global_rank)
        torch.manual_seed(int(np.random.SeedSequence(entropy).generate_state(1)[0]))

    def training_step(self, batch: Batch | PhyskitError, batch_idx: int) -> Tensor:  # noqa: ARG002
        """Mean loss of a batch.

        Raises InputError in every process where a batch cannot be read, or where a loss is NaN or
        infinite, naming the recordings.
        """
        problem, loss = None, torch.zeros((), device=self.device)
        if isinstance(batch, PhyskitError):
            problem = str(batch)
        else:
            values = self._losses_of(batch)
            self._names += batch.recordings
            loss = values.mean()
            bad = [
                name
                for name, good in zip(batch.recordings, values.isfinite().tolist(), strict=True)
                if not good
            ]
            if bad:
                problem = f"the loss of {', '.join(bad)} is NaN or infinite" + self._after()
        raise_together(problem)
        self.losses.append(loss.detach())
        return loss

    def answer(self, clip: Tensor, batch: Batch) -> Tensor:
        """What the network says of each frame (b t), for its gradient."""
        return clip_pulse(self.net, clip, batch.dt_s, batch.extras)

    def _losses_of(self, batch: Batch) -> Tensor:
        pulse = self.answer(as_input(batch.frames, self.net.crop_size), batch)
        # fp32: a sum of squares over a clip overflows in fp16, and bf16 has three digits
        with torch.autocast(self.device.type, enabled=False):
            return self.objective(pulse.float(), batch.pulse.float(), fps=batch.fps)

    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,
        gradient_clip_val: float | None = None,  # noqa: ARG002
        gradient_clip_algorithm: str | None = None,  # noqa: ARG002
    ) -> None:
        """Clip by the norm over all parameters, and keep it for the log.

        Raises InputError, naming the recordings, where it is NaN or infinite; under fp16 that is
        how the loss scale is found, and the step is left out.
        """
        most, whole = self.clip_norm or float("inf"), self.trainer.strategy.model
        if isinstance(whole, FullyShardedDataParallel):  # which alone knows the other shards
            norm = whole.clip_grad_norm_(most)
        else:
            parameters = [p for group in optimizer.param_groups for p in group["params"]]
            norm = nn.utils.clip_grad_norm_(parameters, most)
        self._grad_norm = float(norm)
        if not np.isfinite(self._grad_norm) and self.trainer.precision != "16-mixed":
            names = ", ".join(self._names)
            raise_together(f"the gradient of {names} is NaN or infinite" + self._after())

    def on_train_batch_end(self, *_: Any) -> None:
        """Log the step, if this batch made one."""
        if not self.has_stepped:
            return
        loss = torch.stack(self.losses).mean()
        self.log("loss", loss, sync_dist=True)
        self.log_exactly({"lr": self._lr, "grad_norm": self._grad_norm})

    def log_exactly(self, figures: Mapping[str, float]) -> None:
        """Log figures that are equal in all processes, in full precision, at the count of steps.

        Lightning rounds to float32, and counts steps from 0.
        """
        for name, value in {"step": self.trainer.global_step, **figures}.items():
            self.log(name, torch.tensor(value, dtype=torch.float64, device=self.device))

    def check_weights(self) -> None:
        """Raises InputError, naming the recordings of the last step, where a weight is NaN or
        infinite: such a state must not take the place of a good one."""
        trained = (p for p in self.net.parameters() if p.requires_grad)
        if not all(bool(p.isfinite().all()) for p in trained):
            names = ", ".join(self._names)
            raise_together(f"a step on {names} made weights NaN or infinite" + self._after())

    def _after(self) -> str:
        return (
            f" after {self.trainer.global_step} steps; take a smaller learning rate (now "
            f"{self._lr:g}), or look at these recordings by physkit audit"
        )

    def on_validation_epoch_start(self) -> None:
        """Forget the last validation's windows. Raises InputError for weights that are none."""
        self.check_weights()
        self._parts, self._clips, self._problem = [], [], None

    def validation_step(self, batch: Batch | PhyskitError, batch_idx: int) -> None:  # noqa: ARG002
        """Read one window; what is wrong with one is told when all processes have read theirs."""
        try:
            self._validate(opened(batch))
        except PhyskitError as error:
            self._problem = self._problem or str(error)

    def _validate(self, window: Batch) -> None:
        pulse = stream_pulse(self.net, window.frames, window.dt_s, window.extras).float()
        with torch.autocast(self.device.type, enabled=False):
            loss = float(self.objective(pulse, window.pulse.float(), fps=window.fps))
        place, clip = predicted(window, pulse)
        self._parts.append((place, clip, loss))
        if len(self._clips) < self.clips_kept:
            self._clips.append(clip)

    def on_validation_epoch_end(self) -> None:
        """The figures of all processes together. Raises InputError in each where a window could
        not be read."""
        raise_together(self._problem)
        parts = [part for of_process in gathered(self._parts) for part in of_process]
        self.validation = validation_of(parts, self._clips, is_whole=self.validates_whole)
        self.log_exactly(self.validation.to_dict())

    def on_validation_start(self) -> None:
        """Keep the loss of the step before."""
        self.last_loss = float(self.trainer.callback_metrics.get("loss", self.last_loss))

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """What the run was told, how long it took so far; and of the weights, what is trained."""
        for key in {"state_dict", "current_model_state"} & checkpoint.keys():
            checkpoint[key] = {
                name: tensor
                for name, tensor in checkpoint[key].items()
                if name.removeprefix(NET) in self._kept
            }
        figures = self.validation.to_dict() if self.validation else {}
        checkpoint["physkit"] = {
            "record": self.record,
            "elapsed_s": self.elapsed_s,
            "loss": self.last_loss,
            "metrics": {"step": self.trainer.global_step, **figures},
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take up the clock. Raises InputError where weights are missing."""
        self._seconds_before = float(checkpoint["physkit"]["elapsed_s"])
        self.last_loss = float(checkpoint["physkit"]["loss"])
        if "current_model_state" in checkpoint:  # Lightning's average wants all weights
            frozen = self.state_dict()
            for key in ("state_dict", "current_model_state"):
                checkpoint[key] = {**frozen, **checkpoint[key]}
        # FSDP has loaded them before, and tells of none
        missing = self._kept - {
            name.removeprefix(NET) for name in checkpoint.get("state_dict", self._kept)
        }
        if missing:
            raise InputError(f"the state of the run lacks the weights {sorted(missing)[0]}")


def check_size(net: PulseModel[Any], *, size_px: int, store: str) -> None:
    """Raises InputError for crops that are smaller than the network reads."""
    size = net.crop_size
    if size is not None and size_px < max(size):
        smaller = ""
        config: Any = net.config
        if hasattr(config, "height") and hasattr(config, "width"):
            smaller = f"take --model.height {size_px} --model.width {size_px}, or "
        raise InputError(
            f"{store}: crops are {size_px}x{size_px} pixels, the model reads {size[1]}x{size[0]}; "
            f"{smaller}prepare the data set anew with --size {max(size)}"
        )
