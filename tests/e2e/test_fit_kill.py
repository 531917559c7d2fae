"""A training that is killed goes on as if it had not been; two processes train as one does."""

import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from trainings import (
    changed,
    curve,
    ended_well,
    last_step,
    people_store,
    small_run,
    start,
    start_all,
    wait_for,
    weights,
)

from physkit.train.callbacks.state import read_state
from physkit.train.run.config import FitConfig

N_KILLS = 5


def a_long_run(store: Path, out: Path) -> FitConfig:
    """24 steps with all that has a state: averaged weights, accumulation, a schedule."""
    return small_run(
        store,
        out,
        max_steps=24,
        validate_every=6,
        checkpoint_every=2,
        accumulate=2,
        ema_decay=0.9,
        losses={"mse": 1.0, "spectral": 0.1},
        lr=3e-3,
        schedule="onecycle",
        warmup_steps=3,
        patience=10,
        resume=True,
    )


@pytest.mark.slow
def test_a_training_killed_at_random_steps_ends_as_if_undisturbed(tmp_path: Path) -> None:
    rng = np.random.default_rng(7)
    store = people_store(tmp_path / "s.zarr")
    undisturbed = a_long_run(store, tmp_path / "undisturbed")
    other = start(undisturbed)
    killed = a_long_run(store, tmp_path / "killed")
    for step in sorted(rng.choice(np.arange(1, 24), N_KILLS, replace=False).tolist()):
        # the first reads ahead in a process of its own, which must not count as trained on
        run = start(changed(killed, workers=1) if step < 6 else killed)
        wait_for(lambda run=run, step=step: last_step(killed) >= step or not run.is_alive())
        run.kill()
        run.join()
        assert run.exitcode == -signal.SIGKILL
        if Path(killed.out, "state.ckpt").exists():
            assert read_state(Path(killed.out, "state.ckpt"))["global_step"] <= last_step(killed)
    assert ended_well(start(killed))
    assert ended_well(other)
    expected, got = curve(undisturbed), curve(killed)
    assert [row["step"] for row in got] == [row["step"] for row in expected]
    for row, true_row in zip(got, expected, strict=True):
        assert row == pytest.approx(true_row, rel=1e-6, abs=1e-6)
    for name in ("best", "last"):
        torch.testing.assert_close(
            weights(killed, name), weights(undisturbed, name), rtol=0, atol=1e-6
        )


@pytest.mark.slow
def test_two_processes_and_accumulated_batches_have_the_gradient_of_one_batch(
    tmp_path: Path,
) -> None:
    store = people_store(tmp_path / "s.zarr")
    # a step of plain gradient descent at rate 1: what the weights lose is the gradient
    descent = {"optimizer": "sgd", "lr": 1.0, "clip_norm": None, "max_steps": 1}
    one, two, accumulated, untrained = (
        small_run(store, tmp_path / name, batch_size=4, **descent)
        for name in ("one", "two", "accumulated", "untrained")
    )
    accumulated = changed(accumulated, batch_size=2, accumulate=2)
    others = [start(c) for c in (one, accumulated, changed(untrained, lr=1e-30))]
    assert all(ended_well(process) for process in start_all(two, 2))
    assert all(ended_well(process) for process in others)
    before = weights(untrained, "last")
    gradient = _flat({k: before[k] - v for k, v in weights(one, "last").items()})
    assert gradient.norm() > 0.1
    for other in (two, accumulated):
        same = _flat({k: before[k] - v for k, v in weights(other, "last").items()})
        assert (same - gradient).norm() / gradient.norm() < 1e-5
        assert curve(other)[0]["loss"] == pytest.approx(curve(one)[0]["loss"], rel=1e-5)
        # After such a step the network answers noise, whose SNR the sixth digit of a weight moves.
        ours, theirs = (
            {name: value for name, value in curve(run)[1].items() if "snr" not in name}
            for run in (other, one)
        )
        assert ours == pytest.approx(theirs, rel=1e-3, abs=1e-3)


def _flat(tensors: dict[str, Tensor]) -> Tensor:
    return torch.cat([tensors[name].flatten() for name in sorted(tensors)])
