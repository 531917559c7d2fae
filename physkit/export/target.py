"""What an export is asked for, and what every target offers."""

import importlib.metadata
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from torch import Tensor

from physkit.core.artifact import ArtifactCard, Form, Order, Precision, StateSpec
from physkit.core.errors import InputError
from physkit.core.tensor_file import write_arrays
from physkit.models.facephys.network import FacePhys
from physkit.models.facephys.stream import FacePhysStream

STATES_FILE = "facephys.states.safetensors"
"""States before the first frame, beside the artifacts of one network; axes as hwc, float32."""
StateDtype = Literal["float32", "float16"]


@dataclass(frozen=True, eq=False)
class Calibration:
    """A clip of real crops, from which the ranges of int8 tensors are read."""

    frames: np.ndarray
    """(t, height, width, 3) float32, RGB in [0, 1]."""
    dt_s: np.ndarray
    """(t,) float32: seconds since the frame before."""


@dataclass(frozen=True, eq=False)
class ExportRequest:
    """One artifact of one network."""

    weights_sha256: str
    """Checksum of the weights file that the network came from."""
    form: Form = "step"
    """One frame a call, or a chunk of them."""
    n_frames: int = 1
    """Frames of a call; 1 for a step."""
    precision: Precision = "fp32"
    """fp32; fp16: weights kept in half precision; int8: weights, and convolutions in int8."""
    state_dtype: StateDtype = "float32"
    """How states are kept between calls."""
    fixed_dt_s: float | None = None
    """Seconds between frames, for a camera of one rate; None: `dt_s` is an input."""
    calibration: tuple[Calibration, ...] = ()
    """What static int8 needs: clips, each of them a stream of its own."""

    def __post_init__(self) -> None:
        if self.n_frames < 1 or (self.form == "step") != (self.n_frames == 1):
            raise InputError(
                f"form {self.form} of {self.n_frames} frames: a step has 1, a chunk more"
            )

    def file_name(self, suffix: str) -> str:
        """Name of the artifact, which says what it is."""
        form = self.form if self.form == "step" else f"{self.form}{self.n_frames}"
        states = "_fp16states" if self.state_dtype == "float16" else ""
        rate = f"_{1 / self.fixed_dt_s:.4g}fps" if self.fixed_dt_s else ""
        return f"facephys_{form}_{self.precision}{states}{rate}{suffix}"


class ExportTarget(ABC):
    """Writes artifacts for one runtime."""

    suffix: ClassVar[str]
    """Of the files, with its dot."""
    precisions: ClassVar[tuple[Precision, ...]] = ("fp32", "int8")
    """What is made where nobody says otherwise."""
    calibrates_int8: ClassVar[bool] = False
    """Whether int8 needs the request's calibration."""

    def check(self, request: ExportRequest) -> None:  # noqa: B027 (most targets meet any)
        """Raises InputError for a request that this runtime cannot meet."""

    @abstractmethod
    def write(self, net: FacePhys, request: ExportRequest, path: Path) -> ArtifactCard:
        """Write one artifact, its card inside, whole or not at all; the states file is not its job.

        Raises InputError for a request that this runtime cannot meet.
        """


def make_card(
    net: FacePhys, request: ExportRequest, *, order: Order, states: Mapping[str, Tensor]
) -> ArtifactCard:
    """The contract of an artifact whose states before the first frame are `states`."""
    return ArtifactCard(
        model="facephys",
        form=request.form,
        n_frames=request.n_frames,
        precision=request.precision,
        height=net.config.height,
        width=net.config.width,
        pixels="RGB in [0, 1]",
        fixed_dt_s=request.fixed_dt_s,
        order=order,
        states=tuple(
            StateSpec(name, tuple(x.shape), request.state_dtype) for name, x in states.items()
        ),
        states_file=STATES_FILE,
        weights_sha256=request.weights_sha256,
        physkit=importlib.metadata.version("physkit"),
    )


def write_states(folder: Path, net: FacePhys, weights_sha256: str) -> Path:
    """The file of states that the artifacts in `folder` begin with."""
    states = FacePhysStream(net, order="hwc").init_state()
    path = folder / STATES_FILE
    arrays = {name: x.cpu().numpy() for name, x in states.items()}
    write_arrays(path, arrays, {"weights_sha256": weights_sha256, "model": "facephys"})
    return path
