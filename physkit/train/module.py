"""The one Lightning module: it is handed network, losses, optimizer and learning rate."""

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import torch
from lightning import LightningModule
from torch import Tensor, nn

from physkit.core.errors import InputError, PhyskitError
from physkit.data.datamodule import Batch, opened
from physkit.evaluate.predictions import PredictedRecording
from physkit.evaluate.windows import WindowRow
from physkit.nn.streaming import PulseModel
from physkit.train.budget import Budget, LearningRate
from physkit.train.clips import as_input, clip_pulse, input_size, stream_pulse
from physkit.train.objective import Objective
from physkit.train.together import gathered, raise_together
from physkit.train.validation import Validation, predicted, validation_of, window_rows

MakeOptimizer = Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]


class PulseTraining(LightningModule):
    """Trains any `PulseModel` on batches of windows, and validates it by heart-rate errors.

    seed: decides what a network draws at random in each step, such as dropout.
    record: goes into every checkpoint, so that what resumes can be compared with it.
    clips_kept: validation windows of each process that are kept to be drawn.
    """

    def __init__(
        self,
        net: PulseModel[Any],
        objective: Objective,
        *,
        make_optimizer: MakeOptimizer,
        learning_rate: LearningRate,
        budget: Budget,
        clip_norm: float | None = None,
        checkpoint_frames: int | None = None,
        seed: int = 0,
        record: Mapping[str, Any] | None = None,
        clips_kept: int = 0,
    ) -> None:
        super().__init__()
        self.net = net
        self.objective = objective
        self.make_optimizer = make_optimizer
        self.learning_rate = learning_rate
        self.budget = budget
        self.clip_norm = clip_norm
        self.checkpoint_frames = checkpoint_frames
        self.seed = seed
        self.record = dict(record or {})
        self.clips_kept = clips_kept
        self.validation: Validation | None = None
        """Figures of the last validation."""
        self.grad_norm = float("nan")
        """Norm of the last step's gradient, before it was clipped."""
        self.lr = 0.0
        """Learning rate of the last step."""
        self.losses: list[Tensor] = []
        """Mean loss of each batch of the last step."""
        self._names: list[str] = []
        self._step_before = 0
        self._seconds_before = 0.0
        self._started_s = time.monotonic()
        self._rows: list[tuple[WindowRow, float]] = []
        self._clips: list[PredictedRecording] = []
        self._problem: str | None = None

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
        elapsed_s = self.elapsed_s
        if self.budget.max_seconds:
            elapsed_s = self.trainer.strategy.broadcast(elapsed_s)
        return self.budget.progress(self.trainer.global_step, elapsed_s)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """The optimizer; its learning rate is set before each step."""
        return self.make_optimizer(self.net.parameters())

    def on_fit_start(self) -> None:
        """Start the clock."""
        self._started_s = time.monotonic()

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:  # noqa: ARG002
        """Learning rate and randomness of this batch, both by its number alone."""
        step = self.trainer.global_step
        if step > self._step_before or not self.losses:
            self.losses, self._names = [], []
        self._step_before = step
        self.lr = self.learning_rate.at(step, self.progress)
        for group in self.trainer.optimizers[0].param_groups:
            group["lr"] = self.lr
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

    def _losses_of(self, batch: Batch) -> Tensor:
        clip = as_input(batch.frames, input_size(self.net))
        pulse = clip_pulse(self.net, clip, batch.dt_s, checkpoint_frames=self.checkpoint_frames)
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
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        norm = nn.utils.clip_grad_norm_(parameters, self.clip_norm or float("inf"))
        self.grad_norm = float(norm)
        if not np.isfinite(self.grad_norm) and self.trainer.precision != "16-mixed":
            names = ", ".join(self._names)
            raise_together(f"the gradient of {names} is NaN or infinite" + self._after())

    def check_weights(self) -> None:
        """Raises InputError, naming the recordings of the last step, where a weight is NaN or
        infinite: such a state must not take the place of a good one."""
        if not all(bool(p.isfinite().all()) for p in self.net.parameters()):
            names = ", ".join(self._names)
            raise_together(f"a step on {names} made weights NaN or infinite" + self._after())

    def _after(self) -> str:
        return (
            f" after {self.trainer.global_step} steps; take a smaller learning rate (now "
            f"{self.lr:g}), or look at these recordings by physkit audit"
        )

    def on_validation_epoch_start(self) -> None:
        """Forget the last validation's windows. Raises InputError for weights that are none."""
        self.check_weights()
        self._rows, self._clips, self._problem = [], [], None

    def validation_step(self, batch: Batch | PhyskitError, batch_idx: int) -> None:  # noqa: ARG002
        """Read one window; what is wrong with one is told when all processes have read theirs."""
        try:
            self._validate(opened(batch))
        except PhyskitError as error:
            self._problem = self._problem or str(error)

    def _validate(self, window: Batch) -> None:
        pulse = stream_pulse(self.net, window.frames, window.dt_s).float()
        with torch.autocast(self.device.type, enabled=False):
            loss = float(self.objective(pulse, window.pulse.float(), fps=window.fps))
        clip = predicted(window, pulse)
        self._rows += [(row, loss) for row in window_rows(clip)]
        if len(self._clips) < self.clips_kept:
            self._clips.append(clip)

    def on_validation_epoch_end(self) -> None:
        """The figures of all processes together. Raises InputError in each where a window could
        not be read."""
        raise_together(self._problem)
        rows = [pair for part in gathered(self._rows) for pair in part]
        self.validation = validation_of(
            [row for row, _ in rows], [loss for _, loss in rows], self._clips
        )

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """What the run was told, and how long it took so far."""
        checkpoint["physkit"] = {"record": self.record, "elapsed_s": self.elapsed_s}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take up the clock."""
        self._seconds_before = float(checkpoint["physkit"]["elapsed_s"])


def check_size(net: PulseModel[Any], *, size_px: int, store: str) -> None:
    """Raises InputError for crops that are smaller than the network reads."""
    size = input_size(net)
    if size is not None and size_px < max(size):
        raise InputError(
            f"{store}: crops are {size_px}x{size_px} pixels, the model reads {size[1]}x{size[0]}; "
            f"prepare the data set anew with --size {max(size)}"
        )
