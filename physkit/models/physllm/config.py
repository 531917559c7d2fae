"""The blocks of a PhysLLM's config. Imports nothing heavy.

A block of null switches its part off, as the ablations of the paper do. What is marked as ours is
not in the paper; `configs/model/physllm_paper.yaml` has the paper's form.
"""

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from physkit.core.config import FLAG_ONLY, Names
from physkit.core.errors import InputError
from physkit.models.physnet.config import MIN_SIZE_PX, TIME_STRIDE
from physkit.nn.config import ModelConfig

Border = Literal["zero", "constant", "symmetric", "reflect", "periodic"]
"""What a wavelet transform takes a signal for beyond its ends, as PyWavelets names it."""
VisionCue = Literal["none", "measured", "file"]
"""Where the cue on a recording's pictures comes from."""


@dataclass(frozen=True)
class DDSConfig:
    """Dual-domain stabilisation of the rough pulse: smoothed over time, and band by band."""

    alpha: float = 0.8
    """Share of each new sample in the running average; above 0, at most 1."""
    wavelet: str = "coif6"
    """Wavelet of the frequency branch, by its name in PyWavelets."""
    levels: int = 3
    """Levels of the wavelet transform."""
    border: Border = "symmetric"
    """What the transform takes the signal for beyond its ends; the release's library: zero."""
    restore_bands: bool = True
    """Ours: give each band its mean and its standard deviation back after smoothing. Without, noise
    is lifted to the level of the pulse."""

    def __post_init__(self) -> None:
        if not (0 < self.alpha <= 1 and self.levels >= 1):
            raise InputError(
                f"model.dds: alpha is {self.alpha} and levels {self.levels}; give a share above 0 "
                "and at most 1, and at least one level"
            )


@dataclass(frozen=True)
class AttentionConfig:
    """Attention inside a bottleneck."""

    heads: int = 8
    """Attention heads."""
    width: int = 512
    """Channels of the bottleneck, a multiple of heads."""

    def __post_init__(self) -> None:
        if self.heads < 1 or self.width < 1 or self.width % self.heads:
            raise InputError(
                f"model: attention of width {self.width} and {self.heads} heads; give a multiple "
                "of the heads"
            )


@dataclass(frozen=True)
class PrototypesConfig(AttentionConfig):
    """Text prototype guidance: prototypes of words ask the signal and visual tokens."""

    source: Literal["words", "free"] = "words"
    """words: a learned mix of the language model's word embeddings; free: learned vectors."""


@dataclass(frozen=True)
class CuesConfig(AttentionConfig):
    """What the language model is told in words, and how it becomes tokens."""

    task: bool = True
    """Say what the task is and what makes it hard."""
    vision: VisionCue = "measured"
    """What is said of the pictures. measured: a sentence from measurements of the clip's own
    frames; file: the texts of `file`, such as a LLaVA's; none: nothing."""
    file: str | None = None
    """Cue file of physkit cues, for vision `file`."""
    statistics: bool = True
    """Say the minimum, maximum, median, trend and strongest lags of the rough pulse."""
    lags: Literal["heart_rate", "all"] = "heart_rate"
    """Ours, heart_rate: look for lags from 0.3 to 1.5 s, and say them in seconds and bpm. all: the
    paper's top lags, in frames, which are lag 0 and its neighbours."""
    tokens: int = 64
    """Cue tokens that the language model reads."""
    compressors: bool = True
    """Adaptive prompt learning: a learned compressor for each cue, and learned weights of their
    sum. false: each text's embeddings averaged in so many stretches, and the cues averaged."""

    positions: bool = True
    """Ours: the compressors see where each word stands; else a text is a bag of words to them."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.vision == "file" and not self.file:
            raise InputError(
                "model.cues: vision is file, and no file is given; make one by physkit cues STORE "
                "--out FILE, and give it as model.cues.file"
            )
        if self.tokens < 1:
            raise InputError(f"model.cues.tokens {self.tokens}: must be at least 1")

    @property
    def names(self) -> tuple[str, ...]:
        """The cues that are told, in their order."""
        told = {"task": self.task, "vision": self.vision != "none", "statistics": self.statistics}
        return tuple(name for name, is_told in told.items() if is_told)


@dataclass(frozen=True)
class LoraConfig:
    """Low-rank adapters of the frozen language model."""

    r: int = 8
    """Rank."""
    alpha: int = 16
    """Scale of what they add, over the rank."""
    dropout: float = 0.1
    """Dropout of their input in training."""
    targets: Names | None = None
    """Names of the layers that get adapters; null: peft's default for the family (q and v)."""


@dataclass(frozen=True)
class LanguageConfig:
    """The language model that reads cue, signal and visual tokens."""

    name: str = "deepseek-ai/DeepSeek-R1-Distill-Qwen-1.5B"
    """Name on the model hub, a local folder, or a name of `physkit weights list`."""
    revision: str | None = None
    """Branch, tag or commit on the model hub; null: the newest."""
    gguf_file: str | None = None
    """File in that folder or repository, for weights in GGUF."""
    weights: Literal["pretrained", "reinitialised", "untrained"] = "pretrained"
    """pretrained; or, as controls, random weights of the same size: reinitialised are frozen as the
    pretrained ones are, untrained are trained."""
    dtype: Literal["float32", "bfloat16"] = "bfloat16"
    """Type in which its frozen weights are held; adapters are float32."""
    checkpointing: bool = False
    """Compute each layer anew in the backward pass: less memory, about twice the time."""
    trust_remote_code: bool = field(default=False, metadata={FLAG_ONLY: "true"})
    """Run Python code that comes with the model. Only for a model whose code you have read."""
    lora: LoraConfig | None = field(default_factory=LoraConfig)
    """Adapters; null: none."""


@dataclass(frozen=True)
class HeadConfig:
    """Reads the pulse off the language model's last hidden states."""

    channels: int = 128
    """Channels of each hidden state that are read."""
    dropout: float = 0.1
    """Dropout before the linear layer, in training."""
    residual: bool = True
    """Ours: the answer is added to the rough pulse and starts at 0, so that training starts no
    worse than the frozen PhysNet."""


@dataclass(frozen=True)
class PhysLLMConfig(ModelConfig):
    """A PhysLLM: what is frozen, what is trained, and what it is told."""

    model: ClassVar[str] = "physllm"

    backbone: str | None = None
    """Weights file of the frozen PhysNet; null: those of physkit weights pull physnet."""
    height: int = 72
    """Rows of the face crop, in pixels."""
    width: int = 72
    """Columns of the face crop, in pixels."""
    frames: int = 128
    """Frames of a clip, for which the head is made: 128 or 160 in the paper; a multiple of 4."""
    caches: bool = True
    """Read what the frozen PhysNet says from caches of the store (physkit features) in training;
    false: compute it in every step."""
    grids: int = 4
    """Grids of clips in the caches: a clip begins at every so many parts of its length, an even
    number. More let training see a pulse at more places of a clip, and take as many times longer to
    compute once."""
    patch: int = 8
    """Samples of the rough pulse in a patch."""
    stride: int = 4
    """Samples from one patch to the next."""
    dds: DDSConfig | None = field(default_factory=DDSConfig)
    """Stabilisation of the rough pulse; null: none."""
    vision: AttentionConfig | None = field(default_factory=AttentionConfig)
    """Vision aggregator, which makes visual tokens of PhysNet's features; null: no such tokens."""
    prototypes: PrototypesConfig | None = field(default_factory=PrototypesConfig)
    """Text prototype guidance; null: none."""
    cues: CuesConfig | None = field(default_factory=CuesConfig)
    """Text cues; null: none."""
    language: LanguageConfig | None = field(default_factory=LanguageConfig)
    """Language model; null: the head reads the tokens themselves, and there are no cues."""
    head: HeadConfig = field(default_factory=HeadConfig)
    """What reads the pulse."""

    def __post_init__(self) -> None:
        if min(self.height, self.width) < MIN_SIZE_PX:
            raise InputError(
                f"model: crops of {self.width}x{self.height} pixels; give at least {MIN_SIZE_PX}"
            )
        if self.frames < self.patch or self.frames % TIME_STRIDE:
            raise InputError(
                f"model.frames {self.frames}: must be a multiple of {TIME_STRIDE}, at least a patch"
            )
        if self.grids < 2 or self.grids % 2 or self.frames % self.grids:
            raise InputError(
                f"model.grids {self.grids}: must be even, at least 2, and divide the {self.frames} "
                "frames of a clip"
            )
        if not 1 <= self.stride <= self.patch:
            raise InputError(f"model.stride {self.stride}: must be from 1 to the patch")
        if self.language is None and (self.cues or self.prototypes):
            raise InputError(
                "model.language is null: cues and prototypes need its words; set model.cues and "
                "model.prototypes to null too"
            )

    @property
    def n_tokens(self) -> int:
        """Signal tokens of a clip, and visual tokens too."""
        return (self.frames + self.stride - self.patch) // self.stride + 1
