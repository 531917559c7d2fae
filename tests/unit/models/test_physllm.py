"""A PhysLLM as a whole: every branch is alive, what is frozen stays, no cut changes an answer."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from language_models import FAMILIES, save_language_model
from torch import Tensor

from physkit.core.errors import InputError
from physkit.models.physllm.config import (
    AttentionConfig,
    CuesConfig,
    LanguageConfig,
    LoraConfig,
    PhysLLMConfig,
    PrototypesConfig,
)
from physkit.models.physllm.network import PhysLLM
from physkit.nn.overlap_add import DURATIONS, FRAMES

CAUSAL, BIDIRECTIONAL = "qwen2", "bert"


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("language")
    return {family: save_language_model(folder / family, family) for family in FAMILIES}


def small(folder: Path, *, frames: int = 128, size: int = 16, **changes: object) -> PhysLLM:
    """A network of small parts, with a head that answers from the start."""
    config = PhysLLMConfig(
        height=size,
        width=size,
        frames=frames,
        vision=AttentionConfig(heads=2, width=16),
        prototypes=PrototypesConfig(heads=2, width=16),
        cues=CuesConfig(heads=2, width=16, tokens=16),
        language=LanguageConfig(name=str(folder), dtype="float32", lora=LoraConfig(r=2)),
    )
    torch.manual_seed(3)
    net = PhysLLM(replace(config, **changes))  # type: ignore[arg-type]
    with torch.no_grad():
        torch.nn.init.normal_(net.head.weight, std=0.05)
        if net.vision is not None:
            net.vision.gamma_all.fill_(0.5)
            net.vision.gamma_own.fill_(0.5)
        for name, parameter in net.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(parameter, std=0.1)
    return net


def clips(b: int = 2, n: int = 128, size: int = 16) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(n)
    grey = torch.rand(b, n, size, size, 3, generator=generator)
    return {FRAMES: 0.4 + 0.2 * grey, DURATIONS: torch.full((b, n), 1 / 30)}


def cached(net: PhysLLM, inputs: dict[str, Tensor], *, grid: int = 0) -> dict[str, Tensor]:
    with torch.no_grad():
        rows = net.clip_features(inputs[FRAMES])
    grids = [
        rows if grid == number else torch.full_like(rows, torch.nan)
        for number in range(net.config.grids)
    ]
    return {**inputs, net.cache_name: torch.cat(grids, dim=-1)}


def answer_to(net: PhysLLM, inputs: dict[str, Tensor]) -> Tensor:
    extras = {name: rows for name, rows in inputs.items() if name not in (FRAMES, DURATIONS)}
    pulse: Tensor = net(inputs[FRAMES], inputs[DURATIONS], None, extras)[0]
    return pulse


@pytest.mark.parametrize("family", [CAUSAL, BIDIRECTIONAL])
def test_every_branch_has_a_gradient_and_changes_the_answer(
    folders: dict[str, Path], family: str
) -> None:
    net = small(folders[family]).train()
    inputs = cached(net, clips())
    (answer_to(net, inputs) * torch.linspace(-1, 1, 128)).sum().backward()
    for name, parameter in net.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None, name
            # a bias of keys moves all scores of a query alike
            assert "key.bias" in name or parameter.grad.abs().sum() > 0, name
    net.eval()
    with torch.no_grad():
        whole = net.read_clip(inputs)
        rough, features = net._backbone(inputs)
        texts = net._texts(rough, inputs)
        again = net.refine(rough, features, texts)
        for depth in range(3):
            other = [rows + (number == depth) * 0.5 for number, rows in enumerate(features)]
            changed = net.refine(rough, [o.flip(1) for o in other], texts)
            assert (changed - again).abs().max() > 1e-4, f"features {depth}"
        signal = net.refine(rough.flip(1), features, texts) - rough.flip(1) - again + rough
        assert signal.abs().max() > 1e-4
        for name in texts:
            told = {**texts, name: ["the light is no . light"] * 2}
            assert (net.refine(rough, features, told) - again).abs().max() > 1e-5, name
        for control in ("wrong", "shuffled", "empty"):
            net.control = control  # type: ignore[assignment]
            assert (net.read_clip(inputs) - whole).abs().max() > 1e-5, control


OFF = {
    "dds": {"dds": None},
    "vision": {"vision": None},
    "prototypes": {"prototypes": None},
    "cues": {"cues": None},
    "compressors": {"cues": CuesConfig(heads=2, width=16, tokens=16, compressors=False)},
    "free prototypes": {"prototypes": PrototypesConfig(heads=2, width=16, source="free")},
    "positions": {"cues": CuesConfig(heads=2, width=16, tokens=16, positions=False)},
    "no language model": {"language": None, "cues": None, "prototypes": None},
}


@pytest.mark.parametrize("part", OFF)
def test_each_part_can_be_switched_off_and_then_answers_otherwise(
    folders: dict[str, Path], part: str
) -> None:
    inputs = clips()
    net = small(folders[CAUSAL], **OFF[part]).eval()
    with torch.no_grad():
        pulse = net.read_clip(inputs)
        assert pulse.shape == (2, 128)
        assert pulse.isfinite().all()
        assert (small(folders[CAUSAL]).eval().read_clip(inputs) - pulse).abs().max() > 1e-5
    answer_to(net.train(), cached(net, inputs)).square().mul(torch.arange(128)).sum().backward()
    for name, parameter in net.named_parameters():
        assert not parameter.requires_grad or parameter.grad is not None, name


@pytest.mark.parametrize("family", FAMILIES)
def test_training_changes_what_is_trained_and_nothing_else(
    folders: dict[str, Path], family: str
) -> None:
    net = small(folders[family]).train()
    inputs = cached(net, clips())
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    optimizer = torch.optim.AdamW(net.parameter_groups(1e-2), weight_decay=0.1)
    label = torch.randn(2, 128)
    for _ in range(3):
        optimizer.zero_grad()
        (answer_to(net, inputs) - label).square().mean().backward()
        optimizer.step()
    trained = {name for name, p in net.named_parameters() if p.requires_grad}
    assert set(net.trained_state_dict()) == trained
    for name, tensor in net.state_dict().items():
        assert torch.equal(tensor, before[name]) != (name in trained), name
    assert not any(module.training for module in net.backbone.modules())
    assert net.language is not None
    on = [name for name, module in net.language.base.named_modules() if module.training]
    assert on
    assert all("lora_" in name for name in on)
    groups = net.parameter_groups(1e-2)
    assert [group["lr"] for group in groups] == [1e-2, 2e-3]
    assert groups[1]["weight_decay"] == 0


@pytest.mark.parametrize("family", FAMILIES)
def test_an_answer_does_not_depend_on_batch_mates_or_on_cuts(
    folders: dict[str, Path], family: str
) -> None:
    net = small(folders[family]).eval()
    inputs = clips(b=3, n=180)
    clip, dt_s = inputs[FRAMES], inputs[DURATIONS]
    with torch.no_grad():
        whole = net.whole_pulse(clip, dt_s)
        for row in range(3):
            one = net.whole_pulse(clip[row : row + 1], dt_s[row : row + 1])
            torch.testing.assert_close(one, whole[row : row + 1], atol=1e-4, rtol=0)
        state, pieces = None, []
        for at in range(0, 180, 50):
            piece, state = net(clip[:, at : at + 50], dt_s[:, at : at + 50], state)
            pieces.append(piece)
        assert state is not None
        pieces.append(net.finish(state))
    torch.testing.assert_close(torch.cat(pieces, dim=1), whole, atol=1e-4, rtol=0)


@pytest.mark.parametrize(("frames", "size"), [(128, 72), (160, 128)])
def test_the_published_sizes_run_and_cached_equals_computed(
    folders: dict[str, Path], frames: int, size: int
) -> None:
    net = small(folders[CAUSAL], frames=frames, size=size)
    inputs = clips(b=1, n=frames, size=size)
    with torch.no_grad():
        for grid in (0, 1, 3):
            given = net.eval().read_clip(cached(net, inputs, grid=grid))
            torch.testing.assert_close(given, net.read_clip(inputs), atol=1e-5, rtol=0)


def test_clips_that_no_cache_holds_are_computed_in_evaluation_and_refused_in_training(
    folders: dict[str, Path],
) -> None:
    net = small(folders[CAUSAL]).eval()
    inputs = cached(net, clips())
    moved = {**inputs, net.cache_name: inputs[net.cache_name].clone()}
    moved[net.cache_name][1] = moved[net.cache_name][1].roll(3, dims=0)
    with torch.no_grad():
        torch.testing.assert_close(net.read_clip(moved), net.read_clip(inputs), atol=1e-5, rtol=0)
    with pytest.raises(InputError, match="does not lie where the caches do"):
        answer_to(net.train(), moved)
    with pytest.raises(InputError, match="was given no caches to train on"):
        answer_to(net, clips())


def test_training_starts_as_the_frozen_physnet(folders: dict[str, Path]) -> None:
    config = replace(small(folders[CAUSAL]).config)
    net = PhysLLM(config).eval()
    with torch.no_grad():
        rough, _ = net._backbone(clips())
        torch.testing.assert_close(net.read_clip(clips()), rough, atol=1e-4, rtol=0)
    head = replace(config.head, residual=False)
    other = PhysLLM(replace(config, head=head)).eval()
    with torch.no_grad():
        assert (other.read_clip(clips()) - rough).abs().max() > 0.1


def test_what_was_told_is_kept_for_whoever_asks(folders: dict[str, Path]) -> None:
    net = small(folders[CAUSAL]).eval()
    with torch.no_grad():
        net.read_clip(clips())
    said = net.remarks()
    assert len(said) == 2
    assert set(said[0]) == {"task", "vision", "statistics"}
    assert sum(cue["share"] for cue in said[0].values()) == pytest.approx(1, abs=1e-3)
    assert said[0]["vision"]["text"].startswith("Measured in the pictures")
    assert net.remarks() == []


def test_caches_of_other_weights_or_sizes_have_another_name(folders: dict[str, Path]) -> None:
    net = small(folders[CAUSAL])
    assert net.cache_name == small(folders[BIDIRECTIONAL]).cache_name
    assert net.cache_name != small(folders[CAUSAL], frames=160).cache_name
    other = small(folders[CAUSAL])
    with torch.no_grad():
        other.backbone.head.bias += 1
    assert other.cache_name != net.cache_name


def test_texts_of_a_cue_file_are_found_by_the_recording_and_a_video_has_none(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    by = {"model": "m", "revision": None, "prompt": "p", "source": "llava"}
    names = ("pure/01", "pure/02")
    lines = [{**by, "recording": name, "frame": 0, "text": f"face of {name}"} for name in names]
    file = tmp_path / "cues.jsonl"
    file.write_text("\n".join(map(json.dumps, lines)))
    told = CuesConfig(heads=2, width=16, tokens=16, vision="file", file=str(file))
    net = small(folders[CAUSAL], cues=told).eval()
    assert net.extras[1:] == ("recording", "frame")
    rows = [list(name.encode().ljust(160, b"\0")) for name in names]
    recording = torch.tensor(rows, dtype=torch.uint8)[:, None].expand(2, 128, 160)
    frame = torch.arange(128).expand(2, 128)
    with torch.no_grad():
        net.read_clip({**clips(), "recording": recording, "frame": frame})
        said = [clip["vision"]["text"] for clip in net.remarks()]
        assert said == ["face of pure/01", "face of pure/02"]
        net.control = "wrong"
        net.read_clip({**clips(), "recording": recording, "frame": frame})
        assert [clip["vision"]["text"] for clip in net.remarks()] == said[::-1]
        with pytest.raises(InputError, match="only stored recordings have names"):
            net.read_clip(clips())
