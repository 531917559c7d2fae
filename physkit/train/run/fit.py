"""`physkit fit`: one network trained on windows of stores."""

import os
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

from physkit.core.config import to_yaml
from physkit.core.errors import InputError, PhyskitError
from physkit.core.files import whole_file
from physkit.train.run.config import FitConfig, FitResult

if TYPE_CHECKING:
    from lightning import Callback, Trainer

    from physkit.train.callbacks.keep import EndOfPatience, KeepWeights

STATE = "state.ckpt"
CONFIG = "config.yaml"


def fit(config: FitConfig, *, progress: bool = False) -> FitResult:
    """Train, validate, and keep the best and the last weights. progress: show a bar.

    Raises PhyskitError for options or data that cannot be used, and where a loss is NaN or
    infinite; then the last good state and weights are kept.
    """
    from physkit.core.machine import keep_freed_memory
    from physkit.core.workers import n_cores
    from physkit.runtime.torch_cpu import flushed_denormals, torch_threads
    from physkit.train.run.trainer import quiet_lightning

    keep_freed_memory()
    # reading takes next to none
    threads = config.run.threads or max(1, n_cores() // config.trainer.devices)
    with torch_threads(threads), flushed_denormals(), quiet_lightning():
        return _Run(config, progress=progress).finish()


def run(config: FitConfig, *, progress: bool = False) -> FitResult:
    """Do what `physkit fit` does. Of several processes only the first has anything to say."""
    from torch import distributed

    result = fit(config, progress=progress)
    if distributed.is_available() and distributed.is_initialized() and distributed.get_rank():
        raise SystemExit(0)
    return result


class _Run:
    """One run: its parts, made in the order in which they can be refused."""

    def __init__(self, config: FitConfig, *, progress: bool) -> None:
        from physkit.core.interrupt import CtrlC
        from physkit.data.datamodule import WindowData
        from physkit.data.windows.table import window_table
        from physkit.train.callbacks.state import KeepState
        from physkit.train.run import build
        from physkit.train.run.memory import check_memory
        from physkit.train.run.record import begun_with, check_same_run, make_record
        from physkit.train.run.sources import check_apart, divided
        from physkit.train.run.trainer import accelerator

        self.config = config
        self.state_path = Path(config.out) / STATE
        state = _state_to_resume(config, self.state_path)
        sources = divided(config)
        net = build.make_network(config, is_resumed=state is not None)
        windows = build.train_windows(config, net, sources["train"])
        validation = build.listed_windows(config, net, sources["validation"])
        tables = {"train": windows.table, "validation": validation.table}
        test = {"test": window_table(sources["test"])} if sources["test"] else {}
        check_apart(tables | test, config.populations)
        for each in (windows, validation):
            build.check_crops(net, each)
        notes = check_memory(config, net, windows, on_gpu=accelerator(config) == "gpu")
        before = state["physkit"]["record"] if state else None
        name = before["run"] if before else uuid.uuid4().hex[:8]
        origin = before.get("begun_with") if before else begun_with(config)
        record = make_record(config, sources, net, tables, run=name, begun_with=origin)
        if before:
            check_same_run(self.state_path, before, record)
        with whole_file(Path(config.out) / CONFIG) as unfinished:
            unfinished.write_text(to_yaml(config), encoding="utf-8")
        budget = build.make_budget(config, windows_per_epoch=len(windows))
        self.module = build.make_module(config, net, budget, record)
        self.data = WindowData(
            windows, validation, batch_size=config.data.batch_size, workers=config.run.workers
        )
        self.ctrl_c = CtrlC("physkit: ends after this step; Ctrl-C again: at once")
        self.keep_state = KeepState(
            self.state_path,
            every=config.run.checkpoint_every,
            validate_every=config.trainer.validate_every,
            must_end=lambda: self.ctrl_c.is_pressed,
        )
        self.best, self.patience, callbacks = self._callbacks(progress=progress)
        self.trainer = self._trainer(callbacks, record, state, progress=progress)
        self.state = state
        every = (*tables.values(), *test.values())
        self.left_out = tuple(dict.fromkeys(one for table in every for one in table.unusable))
        said = (*notes, *windows.left_out, *validation.left_out)
        self.notes = tuple(note for note in said if note not in self.left_out)

    def _callbacks(
        self, *, progress: bool
    ) -> "tuple[KeepWeights, EndOfPatience | None, list[Callback]]":
        """What keeps the best, what ends early, and all of them in the order they are called in.

        Lightning itself puts those that keep files after all others.
        """
        from physkit.core.machine import peak_rss_mb
        from physkit.train.callbacks.ema import WeightsAverage
        from physkit.train.callbacks.keep import MONITOR, EndOfPatience, KeepWeights
        from physkit.train.callbacks.log import LogSpeed
        from physkit.train.callbacks.plots import PlotClips
        from physkit.train.callbacks.progress import ShowProgress
        from physkit.train.callbacks.state import EndOfBudget

        config, out = self.config, Path(self.config.out)
        best = KeepWeights(out, "best", monitor=MONITOR)
        patience = EndOfPatience(config.trainer.patience) if config.trainer.patience else None
        callbacks = [
            *([WeightsAverage(config.optim.ema_decay)] if config.optim.ema_decay else []),
            EndOfBudget(),
            LogSpeed(peak_rss_mb),
            *([PlotClips(out / "plots")] if config.run.plots else []),
            *([ShowProgress()] if progress else []),
            *([patience] if patience else []),
            best,
            KeepWeights(out, "last"),
            self.keep_state,
        ]
        return best, patience, callbacks

    def _trainer(
        self,
        callbacks: "list[Callback]",
        record: dict[str, Any],
        state: dict[str, Any] | None,
        *,
        progress: bool,
    ) -> "Trainer":
        from physkit.train.loggers import LogPlace, make_loggers
        from physkit.train.run.record import weights_writer
        from physkit.train.run.trainer import make_trainer

        place = LogPlace(
            Path(self.config.out),
            record["run"],
            after_step=state["global_step"] if state else 0,
            wandb_project=self.config.run.wandb_project,
            is_online=self.config.run.wandb_mode == "online",
        )
        return make_trainer(
            self.config,
            self.module.net,
            save_weights=weights_writer(self.config, record),
            callbacks=callbacks,
            loggers=make_loggers(self.config.run.loggers, place),
            progress=progress,
        )

    def finish(self) -> FitResult:
        """Train to the end, unless that was reached before."""
        from physkit.train.run.trainer import interruptible

        step = 0
        if self.state is not None:
            step = int(self.state["global_step"])
            self._take_up(self.state)
        is_done = (
            self.patience is not None and self.patience.is_out
        ) or self.module.budget.progress(step, self.module.elapsed_s) >= 1
        if not (self.state and is_done):
            with self.ctrl_c, interruptible(self.trainer, self.keep_state):
                self._train()
            step = self.trainer.global_step
        return FitResult(
            out=Path(self.config.out),
            best=self.best.path,
            last=self.best.path.with_stem("last"),
            validation_mae_bpm=self.best.score,
            best_step=self.best.step,
            n_steps=step,
            loss=self.module.last_loss,
            seconds=self.module.elapsed_s,
            notes=self.notes,
            left_out=self.left_out,
        )

    def _train(self) -> None:
        from physkit.train.loggers import close_loggers

        try:
            self.trainer.fit(
                self.module,
                datamodule=self.data,
                ckpt_path=None if self.state is None else self.state_path,
                weights_only=True,
            )
        except PhyskitError as error:
            if not self.state_path.exists():
                raise
            kept = f"the last good state is kept in {self.state_path}"
            if self.best.path.exists():
                kept += f", and weights in {self.best.path} and {self.best.path.with_stem('last')}"
            raise type(error)(f"{error} ({kept})") from error
        finally:
            close_loggers(self.trainer.loggers)

    def _take_up(self, state: dict[str, Any]) -> None:
        """What the result needs of a state, whether or not there is more to train."""
        self.module.on_load_checkpoint(state)
        for callback in (self.best, self.patience):
            if callback is not None and callback.state_key in state["callbacks"]:
                callback.load_state_dict(state["callbacks"][callback.state_key])


def _state_to_resume(config: FitConfig, path: Path) -> dict[str, Any] | None:
    """The state that the run goes on from; None where it begins.

    Raises InputError for a folder that holds another run, or cannot be made.
    """
    from physkit.train.callbacks.state import read_state

    out = Path(config.out)
    try:
        out.mkdir(parents=True, exist_ok=True)
        if not os.access(out, os.W_OK):
            raise InputError(f"{out}: cannot be written to; choose another --out")
    except OSError as error:
        raise InputError(f"{out}: cannot be made ({error}); choose another --out") from error
    if config.run.resume:
        return read_state(path) if path.exists() else None
    if path.exists() or (out / "best.safetensors").exists():
        raise InputError(
            f"{out}: holds a run; go on with it by --run.resume true, or choose another --out"
        )
    return None
