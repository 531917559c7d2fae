"""PhysNet in `physkit fit`, by the options that FacePhys takes, and what it refuses there."""

import json
from pathlib import Path
from typing import Any

import pytest
from stores import six_people
from trainings import changed, divided

import physkit
from physkit.cli import main
from physkit.core.errors import InputError
from physkit.data.windows.config import ContentConfig, DataConfig
from physkit.models.physnet.config import PhysNetConfig
from physkit.models.physnet.network import PhysNet
from physkit.train.config import OptimConfig, RunConfig, TrainerConfig
from physkit.train.run.config import FitConfig
from physkit.weights.file import WeightsCard, save_weights
from physkit.weights.load import load_model

SMALL = {"height": 16, "width": 16, "frames": 64}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stores")
    return six_people(folder / "s.zarr", size_px=16, n_frames=300)


def small_run(store: Path, out: Path, **changes: Any) -> FitConfig:
    config = FitConfig(
        str(out),
        divided(store, train="0235", validation="14"),
        model=PhysNetConfig(**SMALL),
        data=DataConfig(n_frames=64, augment=None),
        optim=OptimConfig(lr=3e-3, schedule="constant", losses={"neg_pearson": 1.0}),
        trainer=TrainerConfig(max_steps=10, validate_every=10),
        run=RunConfig(workers=0, plots=0),
    )
    return changed(config, **changes)


@pytest.mark.slow
@pytest.mark.parametrize("output", ["diff", "pulse"])
def test_it_learns_to_read_unseen_people(store: Path, tmp_path: Path, output: str) -> None:
    config = small_run(store, tmp_path / "run", model=PhysNetConfig(**SMALL, output=output))
    result = physkit.fit(config)
    assert result.validation_mae_bpm < 3
    assert load_model("physnet", result.best).config == PhysNetConfig(**SMALL, output=output)
    evaluated = physkit.evaluate_model(
        store, tmp_path / "out", weights=result.best, subjects=["1", "4"], score={"window_s": 10.0}
    )
    assert evaluated.score.metrics.mae_bpm.value < 3


def test_labels_of_another_form_than_its_output_are_refused(store: Path, tmp_path: Path) -> None:
    content = ContentConfig(label_form="standardised")
    with pytest.raises(InputError, match=r"label_form standardised: .* trained on diff labels"):
        physkit.fit(small_run(store, tmp_path / "run", content=content))


@pytest.mark.parametrize("form", ["diff", "standardised"])
def test_frames_in_a_form_that_reading_never_applies_are_refused(
    form: Any, store: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=rf"--data\.content\.form {form}: physnet takes frames as"):
        physkit.fit(small_run(store, tmp_path / "run", content=ContentConfig(form=form)))


def test_recomputing_parts_of_a_clip_is_refused(store: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"leave --trainer\.checkpoint_frames out"):
        physkit.fit(small_run(store, tmp_path / "run", checkpoint_frames=16))


def test_a_store_of_smaller_crops_says_how_to_make_another(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stores = json.dumps({"s": {"store": str(store), "train": ["0"], "validation": ["1"]}})
    piece = Path(__file__).parents[2] / "configs" / "model" / "physnet.yaml"
    words = ["fit", "--out", str(tmp_path / "run"), "--model", str(piece), "--stores", stores]
    assert main([*words, "--trainer.max_steps", "1"]) == 2
    told = capsys.readouterr().err
    assert "the model reads 72x72; take --model.height 16 --model.width 16, or prepare" in told


def test_training_goes_on_from_weights_of_the_same_network_only(
    store: Path, tmp_path: Path
) -> None:
    for name, config in (("same", SMALL), ("other", SMALL | {"output": "pulse"})):
        net = PhysNet(PhysNetConfig(**config))  # type: ignore[arg-type]
        save_weights(
            tmp_path / f"{name}.safetensors", net.state_dict(), WeightsCard("physnet", config)
        )
    options: dict[str, Any] = {"max_steps": 1, "n_frames": 8}
    weights = str(tmp_path / "same.safetensors")
    assert (
        physkit.fit(small_run(store, tmp_path / "run", init_weights=weights, **options)).n_steps
        == 1
    )
    weights = str(tmp_path / "other.safetensors")
    with pytest.raises(physkit.core.errors.WeightsError, match="another architecture: output"):
        physkit.fit(small_run(store, tmp_path / "run2", init_weights=weights, **options))
