"""The Lightning trainer of a run, and what surrounds a fit."""

import logging
import signal
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from lightning import Callback, Trainer
from lightning.pytorch.loggers import Logger
from lightning.pytorch.plugins import MixedPrecision
from lightning.pytorch.strategies import FSDPStrategy
from torch.distributed.fsdp.wrap import ModuleWrapPolicy

from physkit.core.errors import InputError
from physkit.nn.streaming import PulseModel
from physkit.train.callbacks.state import KeepState, SaveWeights, WholeFileIO
from physkit.train.run.config import FitConfig

LOGS = ("lightning.pytorch", "lightning.fabric")


def accelerator(config: FitConfig) -> str:
    """cpu or gpu. Raises InputError where a GPU was asked for and there is none."""
    has_gpu = torch.cuda.is_available()
    if config.trainer.accelerator == "gpu" and not has_gpu:
        raise InputError("--trainer.accelerator gpu: torch sees none here; see physkit doctor")
    if config.trainer.accelerator == "auto":
        return "gpu" if has_gpu else "cpu"
    return config.trainer.accelerator


def make_trainer(
    config: FitConfig,
    net: PulseModel[Any],
    *,
    save_weights: SaveWeights,
    callbacks: Sequence[Callback],
    loggers: Sequence[Logger],
    progress: bool = False,
) -> Trainer:
    """A trainer that runs until a callback ends it. Raises InputError for FSDP on a CPU."""
    trainer, where = config.trainer, accelerator(config)
    is_fsdp = trainer.strategy == "fsdp"
    plugins: list[Any] = [WholeFileIO(save_weights)]
    if trainer.precision == "fp16" and not is_fsdp:
        # given whole, since by name Lightning takes bf16 instead on a CPU
        plugins.append(MixedPrecision("16-mixed", "cuda" if where == "gpu" else "cpu"))
    fp16 = "16-mixed" if is_fsdp else None
    names: dict[str, Any] = {"fp32": "32-true", "bf16": "bf16-mixed", "fp16": fp16}
    return Trainer(
        accelerator=where,
        devices=trainer.devices,
        num_nodes=trainer.nodes,
        strategy=make_strategy(config, net, where=where),
        precision=names[trainer.precision],
        plugins=plugins,
        max_epochs=-1,
        check_val_every_n_epoch=None,
        val_check_interval=trainer.validate_every * config.optim.accumulate,
        log_every_n_steps=config.run.log_every,
        accumulate_grad_batches=config.optim.accumulate,
        callbacks=list(callbacks),
        logger=list(loggers),
        sync_batchnorm=trainer.n_processes > 1 and where == "gpu",
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        enable_progress_bar=progress,
        enable_model_summary=False,
        default_root_dir=config.out,
    )


def make_strategy(config: FitConfig, net: PulseModel[Any], *, where: str) -> str | FSDPStrategy:
    """How processes share a training. auto: by DDP where there are several.

    Raises InputError for what FSDP cannot do.
    """
    trainer = config.trainer
    if trainer.strategy != "fsdp":
        return "ddp" if trainer.strategy == "ddp" or trainer.n_processes > 1 else "auto"
    if where != "gpu":
        raise InputError(
            "--trainer.strategy fsdp: Lightning's FSDP needs a GPU, and this run is on the CPU; "
            "give --trainer.strategy ddp"
        )
    if config.optim.ema_decay is not None:
        raise InputError(
            "--trainer.strategy fsdp: shards have no average of weights; give --trainer.strategy "
            "ddp, or leave --optim.ema_decay out"
        )
    return FSDPStrategy(auto_wrap_policy=shard_policy(net), state_dict_type="full")


def shard_policy(net: PulseModel[Any]) -> ModuleWrapPolicy | None:
    """Which layers FSDP shards one by one; None: the network as one."""
    return ModuleWrapPolicy(set(net.shard_classes)) if net.shard_classes else None


@contextmanager
def interruptible(trainer: Trainer, state: KeepState) -> Iterator[None]:
    """Ctrl-C and SIGTERM inside end as KeyboardInterrupt that says what is kept.

    Ctrl-C works afterwards too: Lightning makes an exit of its own of it, and lets the process
    ignore it from then on.
    """
    before = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit as error:
        if not trainer.interrupted:
            raise
        signal.signal(signal.SIGINT, before)
        kept = f"step {state.step} is kept in {state.path}; go on by --run.resume true"
        raise KeyboardInterrupt(kept if state.step else "before a first state") from error


@contextmanager
def quiet_lightning() -> Iterator[None]:
    """Without Lightning's remarks, which tell a user nothing that could be acted on."""
    logs = [logging.getLogger(name) for name in LOGS]
    levels = [log.level for log in logs]
    for log in logs:
        log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"lightning\.")
            yield
    finally:
        for log, level in zip(logs, levels, strict=True):
            log.setLevel(level)
