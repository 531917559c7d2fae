"""`physkit fit` on what it cannot use: one line that names it, and what was good is kept."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from trainings import FRAMES, SMALL, changed, divided, people_store, small_run
from window_stores import write_recording, write_steady

import physkit
from physkit.core.errors import InputError, PhyskitError, WeightsError
from physkit.models.facephys.config import FacePhysConfig
from physkit.train.callbacks.state import read_state
from physkit.train.config import OptimConfig
from physkit.train.memory import Clips, training_bytes
from physkit.train.run.build import make_network
from physkit.train.run.config import FitConfig
from physkit.weights.file import read_weights, sha256


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return people_store(tmp_path_factory.mktemp("stores") / "ubfc.zarr")


def test_an_infinite_loss_names_the_recordings_and_keeps_the_last_good_state(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = iter(range(100))

    def breaks(prediction: Tensor, label: Tensor, *, fps: Tensor) -> Tensor:  # noqa: ARG001
        value = (prediction - label).square().mean(dim=1)
        return value / 0 if next(calls) == 2 else value

    monkeypatch.setattr("physkit.losses.mse.mse", breaks)
    config = small_run(store, tmp_path / "run", max_steps=9, checkpoint_every=1)
    pattern = rf"the loss of {store}/[a-d]_1, {store}/[a-d]_1 is NaN or infinite after 2 steps"
    with pytest.raises(InputError, match=pattern) as stopped:
        physkit.fit(config)
    state = tmp_path / "run" / "state.ckpt"
    assert f"the last good state is kept in {state}" in str(stopped.value)
    assert read_state(state)["global_step"] == 2


def test_an_infinite_gradient_or_weight_is_named_too(store: Path, tmp_path: Path) -> None:
    wild = OptimConfig("sgd", lr=1e38, momentum=0.9, clip_norm=None)
    config = small_run(store, tmp_path / "run", max_steps=9, checkpoint_every=1, optim=wild)
    with pytest.raises(InputError, match=rf"{store}/[a-d]_1.* NaN or infinite after"):
        physkit.fit(config)


def test_a_flat_label_is_left_out_by_name_and_the_others_are_trained_on(tmp_path: Path) -> None:
    store = tmp_path / "s.zarr"
    write_steady(store, "good", subject="g", size_px=8)
    write_steady(store, "other", subject="o", size_px=8)
    times_s = np.arange(300) / 30
    frames = np.zeros((300, 8, 8, 3), np.uint8)
    write_recording(
        store,
        "still",
        frames=frames,
        times_s=times_s,
        label=np.ones(300),
        label_times_s=times_s,
        subject="s",
    )
    config = small_run(
        store,
        tmp_path / "run",
        stores=divided(store, train="gs", validation="o"),
    )
    result = physkit.fit(config)
    ((cause, *others),) = (result.left_out,)
    assert cause.startswith(f"{store}/still: the label is flat")
    assert (others, result.exit_status, result.n_steps) == ([], 1, 4)
    alone = changed(
        config, out=str(tmp_path / "no"), stores=divided(store, train="s", validation="o")
    )
    with pytest.raises(InputError, match=f"{store}/still: the label is flat"):
        physkit.fit(alone)


def test_one_person_on_both_sides_is_refused(store: Path, tmp_path: Path) -> None:
    config = small_run(
        store, tmp_path / "run", stores=divided(store, train="abcd", validation="de")
    )
    with pytest.raises(InputError, match="subject 'd' of test is in train and in validation"):
        physkit.fit(config)


def test_a_missing_store_says_what_makes_it(tmp_path: Path) -> None:
    config = small_run(tmp_path / "my_ubfc-phys.zarr", tmp_path / "run")
    command = f"physkit prep --dataset ubfc-phys --raw DIR --out {tmp_path}/my_ubfc-phys.zarr"
    with pytest.raises(InputError, match=command):
        physkit.fit(config)


def test_a_state_of_another_network_or_run_says_what_differs(store: Path, tmp_path: Path) -> None:
    config = small_run(store, tmp_path / "run", resume=True)
    physkit.fit(config)
    larger = changed(config, model=FacePhysConfig(**SMALL | {"channels": 16, "d_state": 6}))
    with pytest.raises(InputError, match="another network: channels 8 -> 16, d_state 4 -> 6"):
        physkit.fit(larger)
    slower = changed(config, lr=1e-4)
    with pytest.raises(InputError, match=r"other options: optim.lr 0.003 -> 0.0001"):
        physkit.fit(slower)
    (tmp_path / "run" / "state.ckpt").write_bytes(b"half a file")
    with pytest.raises(InputError, match=r"state.ckpt: not the state of a run, or damaged"):
        physkit.fit(config)


def test_initial_weights_are_taken_or_say_what_differs(store: Path, tmp_path: Path) -> None:
    first = physkit.fit(small_run(store, tmp_path / "first"))
    still = OptimConfig("sgd", lr=1e-30)
    config = small_run(store, tmp_path / "next", init_weights=str(first.best), optim=still)
    card, tensors = read_weights(physkit.fit(config).last)
    torch.testing.assert_close(tensors, read_weights(first.best)[1])
    assert card.provenance["begun_with"]["sha256"] == sha256(first.best)
    assert card.provenance["begun_with"]["commit"] == card.provenance["commit"]
    smaller = FacePhysConfig(**SMALL | {"height": SMALL["height"] - 1})
    physkit.fit(changed(config, out=str(tmp_path / "size"), model=smaller))
    deeper = FacePhysConfig(**SMALL | {"n_blocks": 2})
    other = changed(config, out=str(tmp_path / "other"), model=deeper)
    with pytest.raises(WeightsError, match="of another architecture: n_blocks 1 -> 2"):
        physkit.fit(other)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": FacePhysConfig()}, "crops are 8x8 pixels, the model reads 36x36"),
        ({"optimizer": "adan"}, "unknown optimizer 'adan': did you mean 'adam'"),
        ({"momentum": 0.9}, "correct its options"),
        ({"accelerator": "gpu"}, "--trainer.accelerator gpu: torch sees none here"),
        ({"n_frames": 1000}, "at most 180 frames in a row"),
        ({"stores": divided(Path("s.zarr"), train="ab")}, "s.zarr: no store there"),
    ],
)
def test_options_that_cannot_work_are_refused_before_training(
    changes: dict[str, Any], message: str, store: Path, tmp_path: Path
) -> None:
    if changes.get("accelerator") == "gpu" and torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(PhyskitError, match=message):
        physkit.fit(small_run(store, tmp_path / "run", **changes))
    assert not (tmp_path / "run" / "state.ckpt").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"max_steps": None}, "no end is set"),
        ({"stores": {}}, "--stores: none given"),
        ({"train": ["t"]}, "unknown store in train 't'"),
        ({"losses": {"mae": 1.0}}, "unknown loss 'mae'"),
        ({"losses": {}}, "--optim.losses: none given"),
        ({"seed": -1}, "--seed -1: must be 0 or more"),
        (
            {"devices": 2, "batch_size": 3},
            "--data.batch_size 3 cannot be shared among 2 processes; give 4",
        ),
        ({"accumulate": 0}, "--optim.accumulate 0: must be at least 1"),
        ({"ema_decay": 1.0}, "--optim.ema_decay 1.0"),
        ({"clip_norm": -1.0}, "--optim.clip_norm -1.0: must be above 0"),
    ],
)
def test_impossible_options_are_refused_at_once(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(PhyskitError, match=message):
        small_run(Path("s.zarr"), Path("run"), **changes)


def gigabytes(config: FitConfig, **clips: Any) -> float:
    asked = Clips(**{"batch": 1, "frames": FRAMES, "size": (8, 8), **clips})
    return training_bytes(make_network(config), asked, precision="fp32") / 1e9


def test_too_long_a_clip_is_refused_with_a_setting_that_fits(store: Path, tmp_path: Path) -> None:
    config = small_run(store, tmp_path / "run", batch_size=4)
    for memory_gb, suggestion in (
        (gigabytes(config, batch=2), "take --data.batch_size 2 --optim.accumulate 2, or"),
        (gigabytes(config), "take --data.batch_size 1 --optim.accumulate 4, or"),
        (
            gigabytes(config, checkpoint_frames=48),
            "take --data.batch_size 1 --trainer.checkpoint_frames 48, or",
        ),
        (0.01, "take a smaller network, or"),
    ):
        with pytest.raises(InputError, match=rf"takes about 0\.1 GB, and .* had: {suggestion}"):
            physkit.fit(changed(config, memory_gb=memory_gb))
    enough = changed(config, memory_gb=gigabytes(config, batch=4), max_steps=1)
    assert physkit.fit(enough).notes == ()
