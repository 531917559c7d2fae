"""Walks the registries, so that an addition is tested without anyone remembering."""

import inspect
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from language_models import save_language_model

from physkit.cli import main
from physkit.core.registry import Registry, all_registries, names_of
from physkit.data.readers import READERS
from physkit.data.readers.base import Reader
from physkit.data.windows.config import LabelForm
from physkit.export import TARGETS
from physkit.export.target import ExportTarget
from physkit.inference.inference import crop_size_px
from physkit.losses import LOSSES
from physkit.models import CONFIGS, MODELS
from physkit.models.physllm.config import LanguageConfig, PhysLLMConfig
from physkit.models.physllm.network import PhysLLM
from physkit.nn.streaming import PulseModel
from physkit.ops import ssm_scan
from physkit.runtime.engines import BY_SUFFIX
from physkit.runtime.engines import ENGINES as RUNTIMES
from physkit.runtime.engines.base import Engine
from physkit.train import LOGGERS
from physkit.train.config import LoggerName

REGISTRIES = all_registries()


REPOSITORY = Path(__file__).parents[2]


def entries(registries: list[Registry]) -> list[tuple[Registry, str]]:
    return [(registry, name) for registry in registries for name in registry]


@pytest.mark.parametrize(("registry", "name"), entries(REGISTRIES))
def test_every_entry_can_be_imported_and_says_what_it_is(registry: Registry, name: str) -> None:
    assert inspect.getdoc(registry[name])


@pytest.mark.parametrize("name", list(READERS))
def test_every_reader_is_called_as_registered_and_has_its_how_to(name: str) -> None:
    reader = READERS[name]()
    assert isinstance(reader, Reader)
    assert reader.name == name
    how_to = (REPOSITORY / "data_prep" / name.removesuffix("-set1") / "README.md").read_text()
    assert f"physkit prep --dataset {name} " in how_to


@pytest.mark.parametrize("name", list(TARGETS))
def test_what_every_target_writes_is_run_by_some_engine(name: str) -> None:
    target = TARGETS[name]
    assert issubclass(target, ExportTarget)
    assert BY_SUFFIX[target.suffix] == name
    assert issubclass(RUNTIMES[name], Engine)
    assert "fp32" in target.precisions


SMALL = {"size": 32, "frames": 32, "layers": 2}
"""Fields of a config that make a network quick to test, where it has the first of them."""


def made(name: str, folder: Path) -> PulseModel[Any]:
    """The model by default, or of few pixels and frames; beside small frozen weights."""
    if name != "physllm":
        has = {field.name for field in fields(CONFIGS[name])} if name in CONFIGS else set()
        few = {k: v for k, v in SMALL.items() if k in has} if "size" in has else {}
        model: PulseModel[Any] = MODELS[name](CONFIGS[name](**few)) if few else MODELS[name]()
        return model
    language = LanguageConfig(name=str(save_language_model(folder)), dtype="float32")
    return PhysLLM(PhysLLMConfig(height=16, width=16, caches=False, language=language))


@pytest.mark.parametrize("name", list(MODELS))
def test_every_model_keeps_the_streaming_protocol(name: str, tmp_path: Path) -> None:
    model = made(name, tmp_path).eval()
    assert isinstance(model, PulseModel)
    torch.manual_seed(0)
    side = crop_size_px(model)
    clip, dt_s = torch.rand(2, 90, side, side, 3), torch.empty(2, 90).uniform_(0.02, 0.06)
    with torch.inference_mode():
        whole = model.whole_pulse(clip, dt_s)
        pieces, state = [], model.init_state(2)
        for start in range(0, 90, 40):
            pulse, state = model(clip[:, start : start + 40], dt_s[:, start : start + 40], state)
            pieces.append(pulse)
        pieces.append(model.finish(state))
    assert whole.shape == (2, 90)
    torch.testing.assert_close(torch.cat(pieces, dim=1), whole, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", list(CONFIGS))
def test_no_stream_of_a_batch_changes_another(name: str, tmp_path: Path) -> None:
    model = made(name, tmp_path).eval()
    torch.manual_seed(0)
    side = crop_size_px(model)
    clip, dt_s = torch.rand(2, 40, side, side, 3), torch.full((2, 40), 1 / 30)
    with torch.inference_mode():
        both = model.whole_pulse(clip, dt_s)
        alone = torch.cat([model.whole_pulse(clip[i : i + 1], dt_s[:1]) for i in range(2)])
    torch.testing.assert_close(both, alone, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", list(CONFIGS))
def test_every_network_answers_each_frame_while_it_is_trained(name: str, tmp_path: Path) -> None:
    model = made(name, tmp_path).train()
    side, n = crop_size_px(model), model.clip_frames or 13
    answer, _ = model(torch.rand(2, n, side, side, 3), torch.full((2, n), 1 / 30))
    assert answer.shape == (2, n)
    answer.square().sum().backward()
    trained = [p for p in model.parameters() if p.requires_grad]
    assert trained
    assert all(p.grad is not None and p.grad.isfinite().all() for p in trained)
    assert model.label_form in get_args(LabelForm)


@pytest.mark.parametrize("name", list(ssm_scan.BACKENDS))
def test_backends_of_an_op_share_one_signature(name: str) -> None:
    expected = list(inspect.signature(ssm_scan.BACKENDS["reference"]).parameters)
    assert len(inspect.signature(ssm_scan.BACKENDS[name]).parameters) == len(expected)


@pytest.mark.parametrize(
    ("command", "kinds"),
    [
        ("predict", ("model", "detector")),
        ("evaluate", ("model", "protocol")),
        ("fit", ("loss", "optimizer", "schedule", "logger", "protocol")),
        ("prep", ("data set", "detector")),
        ("synth", ("data set",)),
        ("export", ("export target",)),
    ],
)
def test_help_is_made_from_the_registries(
    command: str, kinds: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main([command, "--help"])
    shown = capsys.readouterr().out
    for name in (name for kind in kinds for name in names_of(kind)):
        assert name in shown
    assert "{registry" not in shown


def test_every_network_with_a_config_can_be_chosen_by_it() -> None:
    with_config = {name for name in MODELS if MODELS[name].config_class is not None}
    trainable = {name for name in CONFIGS if MODELS[name].config_class is CONFIGS[name]}
    assert trainable == set(CONFIGS) == with_config
    assert all(CONFIGS[name].model == name for name in CONFIGS)


@pytest.mark.parametrize("name", list(LOSSES))
def test_every_loss_gives_one_finite_value_and_gradient_a_clip_at_its_own_rate(name: str) -> None:
    loss, g = LOSSES[name], torch.Generator().manual_seed(0)
    fps = torch.tensor([20.0, 30.0, 61.7])
    times_s = torch.arange(100) / fps[:, None]
    label = torch.sin(2 * torch.pi * 1.2 * times_s)
    noise = torch.randn(3, 100, generator=g, requires_grad=True)
    values = loss(noise, label, fps=fps)
    assert values.shape == (3,)
    (gradient,) = torch.autograd.grad(values.sum(), noise)
    assert bool(gradient.isfinite().all())
    # each clip's value is its own, scale and offset do not matter, and a perfect pulse is best
    alone = torch.cat(
        [loss(noise[i : i + 1], label[i : i + 1], fps=fps[i : i + 1]) for i in range(3)]
    )
    torch.testing.assert_close(alone, values)
    torch.testing.assert_close(loss(5 * noise + 3, label, fps=fps), values, rtol=1e-3, atol=1e-3)
    assert bool((loss(label, label, fps=fps) < 0.05).all())
    assert bool((loss(label, label, fps=fps) < values).all())
    flat = torch.zeros(3, 100, requires_grad=True)
    (gradient,) = torch.autograd.grad(loss(flat, label, fps=fps).sum(), flat)
    assert bool(gradient.isfinite().all())


def test_the_loggers_of_a_config_are_those_that_are_registered() -> None:
    assert set(get_args(LoggerName)) == set(LOGGERS)
