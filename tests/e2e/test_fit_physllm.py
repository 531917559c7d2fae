"""PhysLLM from a store to a prediction: features, training, a kill, weights, JSON, and mistakes."""

import dataclasses
import json
import shutil
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from language_models import save_language_model
from stores import six_people
from trainings import changed, curve, divided, ended_well, last_step, start, wait_for, weights

import physkit
from physkit.cli import main
from physkit.core.errors import InputError, WeightsError
from physkit.data.datamodule import collate
from physkit.data.store import open_store
from physkit.data.windows.config import AugmentConfig, DataConfig, WindowSource
from physkit.data.windows.sampling import RandomWindows
from physkit.inference.recordings import predict_recording
from physkit.models.physllm.config import (
    AttentionConfig,
    CuesConfig,
    LanguageConfig,
    LoraConfig,
    PhysLLMConfig,
    PrototypesConfig,
)
from physkit.models.physllm.network import PhysLLM
from physkit.models.physnet.config import PhysNetConfig
from physkit.models.physnet.network import PhysNet
from physkit.pipelines.features import FeaturesConfig
from physkit.pipelines.features import run as features
from physkit.train.clips import as_input, clip_pulse
from physkit.train.config import OptimConfig, RunConfig, TrainerConfig
from physkit.train.objective import Objective
from physkit.train.run.config import FitConfig
from physkit.weights.file import WeightsCard, read_weights, save_weights
from physkit.weights.load import load_model

SIZE, FRAMES = 16, 64


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> PhysLLMConfig:
    """Small parts beside a PhysNet and a language model with random weights."""
    folder = tmp_path_factory.mktemp("frozen")
    torch.manual_seed(5)
    net = PhysNet(PhysNetConfig(height=SIZE, width=SIZE, frames=FRAMES))
    card = WeightsCard("physnet", dataclasses.asdict(net.config))
    save_weights(folder / "physnet.safetensors", net.state_dict(), card)
    save_language_model(folder / "language")
    return PhysLLMConfig(
        backbone=str(folder / "physnet.safetensors"),
        height=SIZE,
        width=SIZE,
        frames=FRAMES,
        vision=AttentionConfig(heads=2, width=16),
        prototypes=PrototypesConfig(heads=2, width=16),
        cues=CuesConfig(heads=2, width=16, tokens=8),
        language=LanguageConfig(
            name=str(folder / "language"), dtype="float32", lora=LoraConfig(r=2)
        ),
    )


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six people, without features."""
    folder = tmp_path_factory.mktemp("stores")
    return six_people(folder / "s.zarr", size_px=SIZE, n_frames=200)


@pytest.fixture(scope="module")
def store(bare: Path, model: PhysLLMConfig) -> Path:
    """The same, with features."""
    path = bare.with_name("cached.zarr")
    shutil.copytree(bare, path)
    made = features(FeaturesConfig(str(path), model=model))
    assert len(made.made) == 6
    assert features(FeaturesConfig(str(path), model=model)).kept == 6
    return path


def small_run(store: Path, out: Path, model: PhysLLMConfig, **changes: Any) -> FitConfig:
    config = FitConfig(
        str(out),
        divided(store, train="0235", validation="14"),
        model=model,
        data=DataConfig(n_frames=FRAMES, batch_size=2, weighting="store", augment=None),
        optim=OptimConfig(optimizer="adamw", lr=3e-3, schedule="constant"),
        trainer=TrainerConfig(max_steps=6, validate_every=3, accelerator="cpu"),
        run=RunConfig(workers=0, plots=0, checkpoint_every=1, log_every=1, threads=1),
    )
    return changed(config, **changes)


@pytest.fixture(scope="module")
def trained(
    store: Path, model: PhysLLMConfig, tmp_path_factory: pytest.TempPathFactory
) -> FitConfig:
    config = small_run(store, tmp_path_factory.mktemp("runs") / "cached", model)
    physkit.fit(config)
    return config


def test_cached_and_computed_features_give_the_same_losses(trained: FitConfig, bare: Path) -> None:
    net: Any = load_model("physllm", Path(trained.out) / "last.safetensors")
    other: Any = PhysLLM(replace(net.config, caches=False))
    other.load_state_dict(net.state_dict())
    place = torch.device("cpu")
    recording = open_store(trained.stores["s"].store)["1"]
    assert net.extras
    reads = [
        predict_recording(recording, one.eval(), chunk_frames=50, device=place).prediction
        for one in (net, other)
    ]
    np.testing.assert_allclose(*reads, atol=1e-5)
    losses = []
    for one, path in ((net, trained.stores["s"].store), (other, str(bare))):
        windows = RandomWindows(
            [WindowSource(path)], trained.data, extras=one.extras, grid_frames=net.grid_frames
        )
        batch: Any = collate([windows[number] for number in range(4)])
        torch.manual_seed(0)
        clip = as_input(batch.frames, one.crop_size)
        pulse = clip_pulse(one.train(), clip, batch.dt_s, batch.extras)
        losses.append(Objective({"mse": 1.0})(pulse, batch.pulse, fps=batch.fps).tolist())
    assert losses[0] == pytest.approx(losses[1], abs=1e-5)


@pytest.mark.slow
def test_it_goes_on_after_a_kill_as_if_there_had_been_none(
    trained: FitConfig, store: Path, model: PhysLLMConfig, tmp_path: Path
) -> None:
    killed = small_run(store, tmp_path / "killed", model, resume=True)
    process = start(killed)
    wait_for(lambda: last_step(killed) >= 2 or not process.is_alive())
    process.kill()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert ended_well(start(killed))
    for row, true_row in zip(curve(killed), curve(trained), strict=True):
        assert row == pytest.approx(true_row, rel=1e-6, abs=1e-6)
    torch.testing.assert_close(weights(killed, "last"), weights(trained, "last"), rtol=0, atol=1e-6)


def test_weights_hold_what_was_trained_and_say_beside_what(
    trained: FitConfig,
) -> None:
    file = Path(trained.out) / "last.safetensors"
    net = load_model("physllm", file)
    trained_names = {name for name, p in net.named_parameters() if p.requires_grad}
    card, tensors = read_weights(file)
    assert set(tensors) == trained_names
    assert {field: part["name"] for field, part in card.frozen.items()} == {
        "backbone": "physnet.safetensors",
        "language.name": "language",
    }
    assert card.frozen["language.name"]["checksum"].startswith("xxh3:")


def test_predict_tells_what_the_model_was_told(
    trained: FitConfig, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    crops = open_store(trained.stores["s"].store)["4"].frames()
    np.save(tmp_path / "crops.npy", crops)
    weights_file = f"{trained.out}/last.safetensors"
    words = ["predict", str(tmp_path / "crops.npy"), "--fps", "30", "--weights", weights_file]
    assert main([*words, "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["model"] == "physllm"
    assert len(shown["waveform"]) == len(crops)
    assert len(shown["clips"]) >= 5  # 200 frames in clips of 64, at every 32
    clip = shown["clips"][0]
    assert clip["task"]["text"].startswith("Task: recover")
    assert "Strongest repetitions" in clip["statistics"]["text"] or "No repetition" in str(clip)
    assert sum(cue["share"] for cue in clip.values()) == pytest.approx(1, abs=1e-3)


def test_mistakes_are_told_in_one_line(
    store: Path, bare: Path, model: PhysLLMConfig, tmp_path: Path
) -> None:
    def refused(error: type[Exception], match: str, run: FitConfig) -> None:
        with pytest.raises(error, match=match) as caught:
            physkit.fit(run)
        assert "\n" not in str(caught.value)

    out = tmp_path / "run"
    refused(InputError, "has no cached 'physnet-.*by physkit features", small_run(bare, out, model))
    augmented = small_run(
        store, out, model, data=DataConfig(n_frames=FRAMES, augment=AugmentConfig())
    )
    refused(InputError, "caches of the store.*augment to null", augmented)
    refused(
        InputError,
        "--data.n_frames 48: this physllm reads clips of 64 frames",
        small_run(store, out, model, n_frames=48),
    )
    missing = replace(model, backbone=str(tmp_path / "none.safetensors"))
    refused(WeightsError, "none.safetensors: No such file", small_run(store, out, missing))
    language = replace(model.language, name=str(tmp_path / "nowhere"))  # type: ignore[type-var]
    nowhere = replace(model, language=language)
    refused(InputError, "nowhere: no such folder", small_run(store, out, nowhere))


def test_weights_beside_another_language_model_are_refused(
    trained: FitConfig, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    file = shutil.copy(Path(trained.out) / "last.safetensors", folder)
    language = Path(trained.model.language.name)  # type: ignore[attr-defined]
    copied = folder / language.name
    shutil.copytree(language, copied)
    kept = language.rename(language.with_name("away"))
    try:
        load_model("physllm", Path(file))  # those beside the file are found
        shutil.rmtree(copied)
        save_language_model(copied, width=16)
        with pytest.raises(WeightsError, match="language: not the frozen weights that"):
            load_model("physllm", Path(file))
        shutil.rmtree(copied)
        with pytest.raises((WeightsError, InputError), match="no such folder"):
            load_model("physllm", Path(file))
    finally:
        kept.rename(language)
