"""The protocol of every pulse model, network or classical method."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, Literal, TypeVar

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from physkit.nn.config import ModelConfig


@dataclass(frozen=True)
class FrozenPart:
    """Weights that a network stands beside and never trains."""

    field: str
    """Dotted field of the config that names them: a file, or a folder."""
    model: str | None = None
    """Model whose weights these are, of any kind of file; null in the field stands for those at
    hand. None: the network reads them by itself."""
    part: str | None = None
    """Attribute of the network that such a model is."""


State = dict[str, Tensor]
"""What most networks carry from frame to frame: named tensors, batch first."""

StateT = TypeVar("StateT")


class PulseModel(nn.Module, ABC, Generic[StateT]):
    """Frames of a face in, blood-volume pulse out, with an explicit state.

    Pulse rises with blood volume, as a contact PPG does. Over a stream that is cut into chunks
    anywhere, the concatenated pulse of all `forward` calls (or `step` calls, less their NaN) and
    of one last `finish` holds exactly one sample a frame and does not depend on the cuts. A call
    never changes the state it is given, so a state can be kept and continued from again.

    In training mode a call without a state answers every frame of its clips (k = t) with what is
    compared with their labels; for most networks that is the pulse.

    The rest of physkit asks a model what it needs by what stands below, and never for its class.
    A model with `extras` takes them as a fourth argument of `forward`: a mapping from name to
    tensor (b t ...).
    """

    config_class: ClassVar[type[ModelConfig] | None] = None
    """Class of a network's config, its only argument. None: a method without weights."""

    frozen_parts: ClassVar[tuple[FrozenPart, ...]] = ()
    """What is never trained. Weights files hold its checksums beside what was trained."""

    picture_fields: ClassVar[frozenset[str]] = frozenset()
    """Fields of the config in which weights may differ that `adapt_weights` makes fit."""

    deployed: ClassVar[str | None] = None
    """Dotted path of its deployed one-frame form, which `physkit export` and `physkit.Session`
    run; it is made from the network. None: there is none."""

    can_stream: ClassVar[bool] = True
    """Whether pulse comes while frames do. False: all of it comes from `finish`."""

    warmup_s: ClassVar[float] = 0.0
    """Seconds at the start of a stream that are read twice, first only to settle the state."""

    trained_fps: ClassVar[float | None] = None
    """Frames a second that it takes all streams to have; None: it goes by the frames' times."""

    needs_extras: ClassVar[bool] = True
    """Whether it cannot do without its `extras`. False: it computes what is not given."""

    @property
    def crop_size(self) -> tuple[int, int] | None:
        """Rows and columns of the crops that it reads; None: any."""
        return None

    @property
    def clip_frames(self) -> int | None:
        """Frames of the clips that it is trained on; None: any number."""
        return None

    @property
    def least_frames(self) -> int | None:
        """Frames at `trained_fps` that a stream must have; None: any number."""
        return None

    @property
    def extras(self) -> tuple[str, ...]:
        """Names of what it reads beside frames: see `physkit/data/extras.py`."""
        return ()

    @property
    def label_form(self) -> Literal["standardised", "diff"]:
        """Form of the label that the answer in training mode is compared with."""
        return "standardised"

    @property
    def grid_frames(self) -> int | None:
        """Frames of a recording at whose multiples the clips begin that its extras are cached of.

        Training windows then begin there, and show pictures as they are stored. None: its extras
        are rows of single frames.
        """
        return None

    @property
    def shard_classes(self) -> tuple[type[nn.Module], ...]:
        """Layers that FSDP shards one by one; they are only used by calling them.

        Empty: the network is sharded as one.
        """
        return ()

    @property
    def training_bytes_a_frame(self) -> int | None:
        """Memory that a frame takes between the forward and the backward pass.

        None lets `physkit.train.memory` count it.
        """
        return None

    @classmethod
    def located(cls, config: Any) -> Any:
        """The config with the local place of every frozen part that it names in another way.

        Raises InputError, with the fix, for what is not here.
        """
        return config

    @classmethod
    def for_features(cls, config: Any) -> Any:  # noqa: ARG003
        """A config of a network with the same `clip_features`, and no more than they need.

        None: it reads no features of clips.
        """
        return None

    def clip_features(self, clip: Float[Tensor, "b t h w 3"]) -> Float[Tensor, "b t k"]:
        """Rows that are cached of clips on its grid; the last value is the frame's place in them.

        RGB in [0, 1], of `clip_frames` frames. Only models with `grid_frames` have them, as the
        first of their `extras`: side by side the rows of clips that begin at multiples of their
        length, of those that begin `grid_frames` later, and so on.
        """
        raise NotImplementedError(f"{type(self).__name__} has no features of clips")

    def remarks(self) -> list[dict[str, Any]]:
        """What it says of the clips read since it was last asked, as JSON; most say nothing."""
        return []

    def parameter_groups(self, lr: float) -> list[dict[str, Any]]:
        """What an optimizer trains, in groups that may have a learning rate and more of their own.

        lr: the learning rate of a group that names none.
        """
        return [{"params": [p for p in self.parameters() if p.requires_grad], "lr": lr}]

    def trained_state_dict(self) -> dict[str, Tensor]:
        """What of the weights is worth a file: all, or what is trained beside `frozen_parts`."""
        if not self.frozen_parts:
            return dict(self.state_dict())
        return {name: p.detach() for name, p in self.named_parameters() if p.requires_grad}

    def load_trained(self, tensors: Mapping[str, Tensor]) -> None:
        """Take up what `trained_state_dict` gave.

        Raises ValueError, naming the first, where tensors are missing, superfluous or of another
        shape.
        """
        expected = self.trained_state_dict()
        wrong = sorted(
            name
            for name in expected.keys() | tensors.keys()
            if name not in expected
            or name not in tensors
            or expected[name].shape != tensors[name].shape
        )
        if wrong:
            raise ValueError(
                f"{len(wrong)} tensors are missing, superfluous or of another shape, first "
                f"'{wrong[0]}'"
            )
        self.load_state_dict(dict(tensors), strict=False)

    def adapt_weights(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Weights of this model for crops of another size, made to fit where that is possible."""
        return dict(tensors)

    @abstractmethod
    def init_state(self, batch_size: int = 1) -> StateT:
        """The state before the first frame of `batch_size` streams."""

    @abstractmethod
    def forward(
        self,
        clip: Float[Tensor, "b t h w 3"],
        dt_s: Float[Tensor, "b t"],
        state: StateT | None = None,
    ) -> tuple[Float[Tensor, "b k"], StateT]:
        """Pulse of a clip, and the state after it.

        clip: RGB in [0, 1]. dt_s: seconds since the frame before, for each frame; what it says of
        a stream's very first frame is that frame's duration. state: None starts a new stream.
        k = t for a network; a method that needs later frames returns samples later: k <= t.
        """

    def finish(self, state: StateT) -> Float[Tensor, "b k"]:
        """The samples that are still missing when a stream ends, for methods with k < t."""
        if not isinstance(state, dict):
            raise NotImplementedError(f"{type(self).__name__} must say how its state is finished")
        first: Tensor = next(iter(state.values()))
        return first.new_zeros((first.shape[0], 0))

    def whole_pulse(
        self, clip: Float[Tensor, "b t h w 3"], dt_s: Float[Tensor, "b t"]
    ) -> Float[Tensor, "b t"]:
        """Pulse of streams that are no longer than `clip`: one sample a frame."""
        pulse, state = self(clip, dt_s)
        return torch.cat([pulse, self.finish(state)], dim=1)

    def step(
        self, frame: Float[Tensor, "b h w 3"], state: StateT, *, dt_s: Float[Tensor, "b"]
    ) -> tuple[Float[Tensor, "b"], StateT]:
        """One frame, `dt_s` seconds after the one before: one pulse sample, and the next state.

        The sample is NaN while the method needs later frames; it then comes with `finish`.
        """
        pulse, state = self(
            rearrange(frame, "b h w c -> b 1 h w c"), rearrange(dt_s, "b -> b 1"), state
        )
        if pulse.shape[1] == 0:
            return dt_s.new_full(dt_s.shape, torch.nan), state
        return pulse[:, 0], state
