"""A network trained beside a frozen part is a file and a line, and nothing else knows it."""

import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from trainings import (
    curve,
    ended_well,
    last_step,
    people_store,
    small_run,
    start_all,
    wait_for,
    weights,
)
from trial_model import CUE, Trial, TrialConfig, fit_trial, write_base, write_cues

from physkit.core.errors import InputError, WeightsError
from physkit.data.datamodule import collate
from physkit.data.store import open_store
from physkit.data.windows.config import SlidingWindowsConfig, WindowSource
from physkit.data.windows.sampling import SlidingWindows
from physkit.inference.recordings import predict_recording
from physkit.models import CONFIGS, MODELS
from physkit.train.clips import stream_pulse
from physkit.train.objective import Objective
from physkit.train.run.config import FitConfig
from physkit.weights.file import read_weights
from physkit.weights.load import load_model


def trial_run(store: Path, out: Path, base: Path, **changes: Any) -> FitConfig:
    options = {"max_steps": 8, "validate_every": 4, "checkpoint_every": 1, "resume": True}
    return small_run(store, out, model=TrialConfig(str(base)), **{**options, **changes})


def registered() -> Any:
    from contextlib import ExitStack

    stack = ExitStack()
    stack.enter_context(MODELS.registered("trial", "trial_model:Trial"))
    stack.enter_context(CONFIGS.registered("trial", "trial_model:TrialConfig"))
    return stack


def validation_loss(net: Trial, store: Path) -> float:
    """Loss over the validation windows, read as a training reads them."""
    sources = [WindowSource(str(store), ("e", "f"))]
    windows = SlidingWindows(sources, SlidingWindowsConfig(), extras=net.extras)
    losses = []
    with torch.inference_mode():
        for number in range(len(windows)):
            batch: Any = collate([windows[number]])
            pulse = stream_pulse(net, batch.frames, batch.dt_s, batch.extras)
            losses.append(float(Objective({"mse": 1.0})(pulse, batch.pulse, fps=batch.fps)))
    return sum(losses) / len(losses)


@pytest.mark.slow
@pytest.mark.parametrize("n_processes", [1, 2])
def test_it_trains_survives_a_kill_and_loads_beside_its_frozen_part(
    tmp_path: Path, n_processes: int
) -> None:
    store, base = people_store(tmp_path / "s.zarr"), write_base(tmp_path / "base.safetensors")
    write_cues(store)
    undisturbed, killed = (trial_run(store, tmp_path / n, base) for n in ("whole", "killed"))
    others = start_all(undisturbed, n_processes, run=fit_trial)
    processes = start_all(killed, n_processes, run=fit_trial)
    wait_for(lambda: last_step(killed) >= 3 or not processes[0].is_alive())
    for process in processes:
        process.kill()
        process.join()
    assert processes[0].exitcode == -signal.SIGKILL
    assert all(ended_well(p) for p in start_all(killed, n_processes, run=fit_trial))
    assert all(ended_well(process) for process in others)
    expected, got = curve(undisturbed), curve(killed)
    assert [row["step"] for row in got] == [row["step"] for row in expected]
    for row, true_row in zip(got, expected, strict=True):
        assert row == pytest.approx(true_row, rel=1e-6, abs=1e-6)
    torch.testing.assert_close(
        weights(killed, "last"), weights(undisturbed, "last"), rtol=0, atol=1e-6
    )

    file = tmp_path / "killed" / "last.safetensors"
    assert file.stat().st_size < base.stat().st_size / 10
    assert (tmp_path / "killed" / "state.ckpt").stat().st_size < base.stat().st_size / 10
    card, tensors = read_weights(file)
    assert set(tensors) == {"down.weight", "up.weight", "head.weight", "head.bias"}
    with registered():
        net: Any = load_model("trial", file)
    loss = card.provenance["metrics"]["validation_loss"]
    assert validation_loss(net, store) == pytest.approx(loss, rel=1e-5)
    recording = open_store(store)["e_1"]
    read = predict_recording(recording, net, chunk_frames=50, device=torch.device("cpu"))
    with torch.inference_mode():
        frames = torch.from_numpy(recording.frames()) / 255
        cues = torch.from_numpy(recording.feature(CUE, slice(0, len(frames))))
        whole = net(frames[None], torch.empty(1, len(frames)), None, {CUE: cues[None]})[0][0]
    n = len(read.prediction)
    torch.testing.assert_close(torch.from_numpy(read.prediction).float(), whole[:n])


def test_adapters_have_a_fifth_of_the_rate_and_frozen_weights_none(tmp_path: Path) -> None:
    net = Trial(TrialConfig(str(write_base(tmp_path / "base.safetensors"))))
    adapters, head = net.parameter_groups(1e-3)
    assert adapters["lr"] == pytest.approx(2e-4)
    n_trained = sum(p.numel() for group in (adapters, head) for p in group["params"])
    assert n_trained * 10 < sum(p.numel() for p in net.parameters())


def test_a_missing_extra_input_or_frozen_part_says_how_to_come_by_it(tmp_path: Path) -> None:
    from physkit.train.run.fit import fit

    store, base = people_store(tmp_path / "s.zarr"), write_base(tmp_path / "base.safetensors")
    config = trial_run(store, tmp_path / "run", base, max_steps=1)
    with registered():
        with pytest.raises(InputError, match=rf"{store}/[a-f]_1: has no cached '{CUE}'"):
            fit(config)
        write_cues(store)
        result = fit(config)
        moved = base.rename(tmp_path / "run" / base.name)
        load_model("trial", result.best)  # beside the trained part it is found too
        moved.write_bytes(write_base(base).read_bytes()[:-4] + b"\0\0\0\0")
        base.unlink()
        with pytest.raises(WeightsError, match="not the frozen weights that"):
            load_model("trial", result.best)
        moved.unlink()
        with pytest.raises(WeightsError, match=r"put base\.safetensors beside it"):
            load_model("trial", result.best)
