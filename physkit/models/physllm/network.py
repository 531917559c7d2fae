"""PhysLLM: a frozen PhysNet's rough pulse, refined by a language model that is told of the clip.

"PhysLLM: Harnessing Large Language Models for Cross-Modal Remote Physiological Sensing", ICLR 2026,
arXiv 2505.03621. What is not in the paper is marked as ours in `config.py`.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any, Literal

import torch
import xxhash
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from physkit.core.errors import InputError
from physkit.models.physllm.config import PhysLLMConfig
from physkit.models.physllm.cue_file import CueFile
from physkit.models.physllm.cue_text import OTHER_TASK, TASK, statistics_cue
from physkit.models.physllm.cues import Cues, Texts, as_told
from physkit.models.physllm.dds import DDS
from physkit.models.physllm.language import LanguageModel, locate_language_model
from physkit.models.physllm.measured import measured_cue
from physkit.models.physllm.prototypes import PrototypeGuidance, Prototypes
from physkit.models.physllm.tokens import Patches, VisionAggregator
from physkit.models.physnet.config import PhysNetConfig
from physkit.models.physnet.network import FEATURE_BLOCKS, WIDTHS, PhysNet
from physkit.nn.clip_network import standardised
from physkit.nn.overlap_add import DURATIONS, FRAMES, OverlapAdd
from physkit.nn.streaming import FrozenPart
from physkit.ops.normalised_difference import normalised_difference

Control = Literal["right", "wrong", "shuffled", "empty"]
"""What the language model is told: the truth, of another clip, in any order, or nothing."""
RECORDING, FRAME = "recording", "frame"
"""Extras that say which clip it is; only stored recordings have them."""
CHANNELS = tuple(WIDTHS[block] for block in FEATURE_BLOCKS)
FRAME_VALUES = tuple(width // 2**depth for depth, width in enumerate(CHANNELS))
"""Values a frame of each of PhysNet's features, whose time steps get half as many each time."""
N_ROWS = 1 + sum(FRAME_VALUES) + 1
"""Values a frame of a cache: rough pulse, features, and the frame's place in its clip."""
WIDTH_ALONE = 256
"""Width of the tokens where there is no language model."""
ADAPTER_SHARE = 5
"""The adapters' learning rate is so many times smaller."""
WRONG_TEMPO = 1.4
"""How much faster the pulse is that a wrong statistics cue speaks of."""
N_WORDS, ROWS_A_TOKEN = 128, 12
"""For the estimate of memory: words of a cue, and values kept of a token over its width."""
EVERY_PIXEL = 2
"""Along each side of a crop, of the pixels that the picture cue is measured of."""
SMALL = 1e-8
N_REMARKS = 512


class PhysLLM(OverlapAdd):
    """Face crops in, pulse out, clip by clip.

    Tokens: cues, signal, pictures, in this order; the head reads the last two. Clips are added up
    with overlap, see `OverlapAdd`. The PhysNet and the language model are never trained, and stay
    in evaluation mode; only the adapters' own dropout is on in training.

    extras: the cache of what the PhysNet says (`physkit features`), where `config.caches` is set;
    in evaluation a clip that it does not hold is computed. Name and frame, for cues of a file.
    """

    config_class = PhysLLMConfig
    frozen_parts = (FrozenPart("backbone", "physnet", "backbone"), FrozenPart("language.name"))
    needs_extras = False

    def __init__(self, config: PhysLLMConfig) -> None:
        super().__init__()
        self.config = config
        self.control: Control = "right"
        n = config.n_tokens
        sizes = PhysNetConfig(height=config.height, width=config.width, frames=config.frames)
        self.backbone = PhysNet(sizes).requires_grad_(requires_grad=False)
        self.language = LanguageModel.load(config.language) if config.language else None
        self.width, scale = (
            (self.language.width, self.language.word_size) if self.language else (WIDTH_ALONE, 1.0)
        )
        d = self.width
        self.dds = DDS(config.dds) if config.dds else None
        self.patches = Patches(d, patch=config.patch, stride=config.stride)
        self.vision = (
            VisionAggregator(d, config.vision, n_tokens=n, channels=CHANNELS)
            if config.vision
            else None
        )
        self.prototypes = self.guidance = None
        if config.prototypes and self.language:
            self.prototypes = Prototypes(n, self.language.word_table, config.prototypes)
            self.guidance = PrototypeGuidance(d, config.prototypes)
        self.cues = Cues(d, config.cues, scale=scale) if config.cues else None
        self.cue_file = CueFile.read(config.cues.file) if config.cues and config.cues.file else None
        kinds = ["signal", *(["visual"] if config.vision else [])]
        norms = {kind: nn.LayerNorm(d) for kind in kinds}
        for norm in norms.values():
            nn.init.constant_(norm.weight, scale)  # as large as words are
        self.norms = nn.ModuleDict(norms)
        self.channels = min(config.head.channels, d)
        self.dropout = nn.Dropout(config.head.dropout)
        self.head = nn.Linear(len(kinds) * n * self.channels, config.frames)
        if config.head.residual:
            nn.init.zeros_(self.head.weight)
            nn.init.zeros_(self.head.bias)
        self._remarks: deque[dict[str, Any]] = deque(maxlen=N_REMARKS)
        self.train(self.training)

    @classmethod
    def located(cls, config: PhysLLMConfig) -> PhysLLMConfig:
        """The config with the folder of its language model."""
        if config.language is None:
            return config
        folder = locate_language_model(config.language)
        return replace(config, language=replace(config.language, name=str(folder)))

    @classmethod
    def for_features(cls, config: PhysLLMConfig) -> PhysLLMConfig | None:
        """The config without its language model."""
        if not config.caches:
            return None
        return replace(config, language=None, cues=None, prototypes=None)

    @property
    def crop_size(self) -> tuple[int, int]:
        """Rows and columns of the crops that it reads."""
        return self.config.height, self.config.width

    @property
    def clip_frames(self) -> int:
        """Frames of a clip."""
        return self.config.frames

    @property
    def extras(self) -> tuple[str, ...]:
        """The cache of what the PhysNet says, and what names a clip."""
        named = (RECORDING, FRAME) if self.cue_file else ()
        return (*((self.cache_name,) if self.config.caches else ()), *named)

    @property
    def grid_frames(self) -> int | None:
        """Where cached clips begin; clips of a stream begin at some of these places."""
        return self.clip_frames // self.config.grids if self.config.caches else None

    @cached_property
    def cache_name(self) -> str:
        """Name of the cache: it changes with the weights and the sizes of what is cached."""
        config = self.config
        key = xxhash.xxh3_64(
            f"{config.height} {config.width} {config.frames} {config.grids}".encode()
        )
        key.update(self.backbone.config.output.encode())
        for name, tensor in self.backbone.state_dict().items():
            key.update(name.encode())
            key.update(tensor.cpu().numpy().tobytes())
        return f"physnet-{key.hexdigest()}"

    @property
    def training_bytes_a_frame(self) -> int:
        """Estimated, since what is said depends on values.

        Of every token that a module or a layer reads it keeps about a dozen rows.
        """
        config = self.config
        blocks = (config.vision, config.prototypes, config.cues)
        wide = max((block.width for block in blocks if block), default=0)
        n_read = len(self.norms) * config.n_tokens
        n_told = len(config.cues.names) * N_WORDS + config.cues.tokens if config.cues else 0
        own = ROWS_A_TOKEN * 4 * (self.width + wide) * (n_read + n_told)
        n_tokens = n_read + (config.cues.tokens if config.cues else 0)
        told = self.language.training_bytes(n_tokens) if self.language else 0
        return (own + told) // config.frames + 1

    @property
    def shard_classes(self) -> tuple[type[nn.Module], ...]:
        """Layers of the language model."""
        return (self.language.layer_class,) if self.language else ()

    def parameter_groups(self, lr: float) -> list[dict[str, Any]]:
        """Adapters learn at a fifth of the rate and do not decay."""
        adapters = list(self.language.adapter_parameters()) if self.language else []
        known = {id(p) for p in adapters}
        others = [p for p in self.parameters() if p.requires_grad and id(p) not in known]
        groups: list[dict[str, Any]] = [{"params": others, "lr": lr}]
        if adapters:
            groups.append({"params": adapters, "lr": lr / ADAPTER_SHARE, "weight_decay": 0.0})
        return groups

    def train(self, mode: bool = True) -> "PhysLLM":
        """As torch's, but what is frozen stays in evaluation mode."""
        super().train(mode)
        self.backbone.eval()
        return self

    def remarks(self) -> list[dict[str, Any]]:
        """For each clip read since this was last asked: the cues' texts, and their shares."""
        said = list(self._remarks)
        self._remarks.clear()
        return said

    def read_clip(self, inputs: Mapping[str, Tensor]) -> Float[Tensor, "b t"]:
        """Refined pulse of clips, standardised. Raises InputError in training without caches."""
        rough, features = self._backbone(inputs)
        answer = self.refine(rough, features, self._texts(rough, inputs))
        return standardised(answer, 1, eps=SMALL)

    def refine(
        self,
        rough: Float[Tensor, "b t"],
        features: list[Float[Tensor, "b _ _"]],
        texts: Texts,
    ) -> Float[Tensor, "b t"]:
        """The pulse, out of the standardised rough one, PhysNet's features and the cues' texts.

        features: means over space (b time channels), of `CHANNELS`.
        """
        signal = self.patches(self.dds(rough) if self.dds else rough)
        kinds = {"signal": signal}
        if self.vision is not None:
            kinds["visual"] = self.vision(features)
        if self.guidance is not None and self.prototypes is not None and self.language:
            prototypes = self.prototypes(self.language.word_table)
            kinds = {kind: self.guidance(tokens, prototypes) for kind, tokens in kinds.items()}
        tokens = torch.cat([self.norms[kind](rows) for kind, rows in kinds.items()], dim=1)
        n_read = tokens.shape[1]
        if self.cues is not None and self.language is not None:
            said, shares = self.cues(texts, self.language)
            tokens = torch.cat([said, tokens], dim=1)
            self._remember(texts, shares)
        hidden = self.language(tokens) if self.language else tokens
        read = hidden[:, -n_read:, : self.channels].flatten(1)
        answer: Tensor = self.head(self.dropout(read))
        return rough + answer if self.config.head.residual else answer

    def clip_features(self, clip: Float[Tensor, "b t h w 3"]) -> Float[Tensor, "b t k"]:
        """What `physkit features` keeps of clips, in rows of a frame each."""
        rough, features = self._computed(clip)
        b, t = rough.shape
        rows = [rows.reshape(b, t, -1) for rows in features]
        place = torch.arange(t, dtype=rough.dtype, device=rough.device).expand(b, t)
        return torch.cat([rough[..., None], *rows, place[..., None]], dim=-1)

    def _backbone(self, inputs: Mapping[str, Tensor]) -> tuple[Tensor, list[Tensor]]:
        """Rough pulse and features of clips: cached ones where they are, or computed."""
        cache = inputs.get(self.cache_name) if self.config.caches else None
        if cache is None:
            if self.training and self.config.caches:
                raise InputError(
                    "PhysLLM: was given no caches to train on; make them by physkit features, or "
                    "set model.caches to false"
                )
            return self._computed(inputs[FRAMES])
        rows, is_cached = self._rows(cache)
        if not bool(is_cached.all()):
            if self.training:
                raise InputError(
                    "PhysLLM: a training clip does not lie where the caches do; make them anew by "
                    "physkit features, or set model.caches to false"
                )
            missing = ~is_cached
            rows[missing] = self.clip_features(inputs[FRAMES][missing])
        return self._from_rows(rows)

    def _rows(self, cache: Float[Tensor, "b t k"]) -> tuple[Tensor, Tensor]:
        """Rows (b t N_ROWS) of each clip, of whichever grid it lies on, and whether it does."""
        grids = rearrange(cache.float(), "b t (g k) -> g b t k", k=N_ROWS)
        place = torch.arange(cache.shape[1], device=cache.device)
        lies_on = (grids[..., -1] == place).all(dim=-1)
        first = lies_on.int().argmax(dim=0)
        return grids[first, torch.arange(len(cache), device=cache.device)], lies_on.any(dim=0)

    def _from_rows(self, rows: Float[Tensor, "b t k"]) -> tuple[Tensor, list[Tensor]]:
        rough, *features, _ = torch.split(rows, [1, *FRAME_VALUES, 1], dim=-1)
        shaped = [
            part.reshape(len(part), -1, width)
            for part, width in zip(features, CHANNELS, strict=True)
        ]
        return rough[..., 0], shaped

    def _computed(self, clip: Float[Tensor, "b t h w 3"]) -> tuple[Tensor, list[Tensor]]:
        """By the PhysNet itself, clip by clip: of one, its inner features take 0.1 GB."""
        rough, features = [], []
        with torch.no_grad():
            for one in clip:
                answer, inner = self.backbone.features(normalised_difference(one[None], white=1.0))
                pulse = self.backbone.pulse_of(answer, n_owed=answer.shape[1])
                rough.append(standardised(pulse, 1, eps=SMALL))
                features.append([part.mean(dim=(-2, -1)).mT for part in inner])
        return torch.cat(rough), [torch.cat(parts) for parts in zip(*features, strict=True)]

    def _texts(self, rough: Tensor, inputs: Mapping[str, Tensor]) -> Texts:
        """What is said of each clip."""
        wrong = self.control == "wrong"
        cues = self.config.cues
        b = len(rough)
        texts: dict[str, list[str]] = {}
        if cues is None:
            return texts
        if cues.task:
            texts["task"] = [OTHER_TASK if wrong else TASK] * b
        if cues.vision == "measured":
            fewer = inputs[FRAMES][:, :, ::EVERY_PIXEL, ::EVERY_PIXEL]
            pictures = (fewer * 255).round().byte().cpu().numpy()
            pictures = 255 - pictures if wrong else pictures
            texts["vision"] = [measured_cue(clip) for clip in pictures]
        elif cues.vision == "file":
            texts["vision"] = self._from_file(inputs, wrong=wrong)
        if cues.statistics:
            fps = (rough.shape[1] - 1) / inputs[DURATIONS][:, 1:].sum(dim=1)
            fps = fps * (WRONG_TEMPO if wrong else 1)
            texts["statistics"] = [
                statistics_cue(pulse, fps=float(rate), lags=cues.lags)
                for pulse, rate in zip(rough.cpu().numpy(), fps, strict=True)
            ]
        return as_told(texts, self.control)

    def _from_file(self, inputs: Mapping[str, Tensor], *, wrong: bool) -> list[str]:
        """Texts of the cue file; wrong ones are of the recording that comes next in it."""
        if self.cue_file is None or RECORDING not in inputs:
            raise InputError(
                "model.cues.vision is file: only stored recordings have names to look up in a cue "
                "file; prepare the video (physkit prep), or set model.cues.vision to measured"
            )
        names = [bytes(row[0].cpu().numpy()).rstrip(b"\0").decode() for row in inputs[RECORDING]]
        firsts = [int(row[0]) for row in inputs[FRAME]]
        return [
            self.cue_file.text(name, frame=first, wrong=wrong)
            for name, first in zip(names, firsts, strict=True)
        ]

    def _remember(self, texts: Texts, shares: Tensor) -> None:
        if self.training or self.cues is None:
            return
        for clip, of_clip in enumerate(shares.detach().cpu().tolist()):
            self._remarks.append(
                {
                    name: {"text": texts[name][clip], "share": round(share, 4)}
                    for name, share in zip(self.cues.names, of_clip, strict=True)
                }
            )
