"""A network of the kind that is trained beside a large frozen part, which physkit knows nothing of.

A million frozen weights with a dropout, adapters with a fifth of the learning rate, and an extra
input that is cached in the store.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from einops import rearrange
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from physkit.nn.config import ModelConfig
from physkit.nn.streaming import FrozenPart, PulseModel, State

SIDE, WIDTH, FEATURES, RANK, CUES = 8, 1024, 800, 8, 4
CUE = "cue"


@dataclass(frozen=True)
class TrialConfig(ModelConfig):
    """Where the frozen part is."""

    model: ClassVar[str] = "trial"

    base: str = ""
    """File of the frozen weights."""


class Trial(PulseModel[State]):
    """Crops and cues in, pulse out; each frame by itself."""

    config_class = TrialConfig
    frozen_parts = (FrozenPart("base"),)
    shard_classes = (nn.Linear,)

    def __init__(self, config: TrialConfig) -> None:
        super().__init__()
        self.config = config
        self.read = nn.Linear(SIDE * SIDE * 3, WIDTH)
        self.mix = nn.Linear(WIDTH, FEATURES)
        for part in (self.read, self.mix):
            part.requires_grad_(False)
        self.down = nn.Linear(FEATURES, RANK, bias=False)
        self.up = nn.Linear(RANK, FEATURES, bias=False)
        self.head = nn.Linear(FEATURES + CUES, 1)
        self.load_state_dict(load_file(config.base), strict=False)

    @property
    def crop_size(self) -> tuple[int, int]:
        return SIDE, SIDE

    @property
    def extras(self) -> tuple[str, ...]:
        return (CUE,)

    def parameter_groups(self, lr: float) -> list[dict[str, Any]]:
        adapters = [self.down.weight, self.up.weight]
        return [{"params": adapters, "lr": lr / 5}, {"params": list(self.head.parameters())}]

    def init_state(self, batch_size: int = 1) -> State:
        return {"none": self.head.weight.new_zeros(batch_size, 0)}

    def forward(
        self,
        clip: Tensor,
        dt_s: Tensor,  # noqa: ARG002
        state: State | None = None,  # noqa: ARG002
        extras: Mapping[str, Tensor] | None = None,
    ) -> tuple[Tensor, State]:
        assert extras is not None
        x = F.relu(self.read(rearrange(clip, "b t h w c -> b t (h w c)")))
        x = self.mix(F.dropout(x, 0.1, self.training))
        x = x + self.up(self.down(x))
        pulse = self.head(torch.cat([x, extras[CUE]], dim=-1)).squeeze(-1)
        return pulse, self.init_state(len(clip))


def write_base(path: Path) -> Path:
    """Frozen weights."""
    g = torch.Generator().manual_seed(3)

    def weights(rows: int, columns: int) -> Tensor:
        return torch.randn(rows, columns, generator=g) / columns**0.5

    tensors = {
        "read.weight": weights(WIDTH, SIDE * SIDE * 3),
        "mix.weight": weights(FEATURES, WIDTH),
    }
    tensors |= {"read.bias": torch.zeros(WIDTH), "mix.bias": torch.zeros(FEATURES)}
    save_file(tensors, path)
    return path


def write_cues(store: Path) -> None:
    """The extra input of every recording, as a cache would add it."""
    import zarr

    group = zarr.open_group(store, mode="r+", zarr_format=3)
    for number, (_, recording) in enumerate(sorted(group.groups())):
        n_frames = recording["frames"].shape[0]
        times_s = torch.arange(n_frames)[:, None] / 30
        rates = torch.arange(1, CUES + 1) * (0.8 + 0.1 * number)
        cues = torch.sin(2 * torch.pi * rates * times_s).numpy()
        recording.require_group("features").require_group(CUE).create_array("values", data=cues)


def fit_trial(config: Any, environment: dict[str, str]) -> None:
    """Train in this process, where the network is registered."""
    os.environ.update(environment)
    from physkit.models import CONFIGS, MODELS
    from physkit.train.run.fit import fit

    with (
        MODELS.registered("trial", "trial_model:Trial"),
        CONFIGS.registered("trial", "trial_model:TrialConfig"),
    ):
        fit(config)
