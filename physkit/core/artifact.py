"""The card in a deployed file: what it needs and gives, for every runtime."""

import dataclasses
import json
from dataclasses import dataclass
from typing import Any, Literal

from physkit.core.errors import InputError

ARTIFACT_FORMAT = 1
"""Raised whenever a file written before could no longer be run as it was meant."""
METADATA_KEY = "physkit"
"""Under which every kind of file carries its card, as JSON."""
TFLITE_IDENTIFIER = b"TFL3"
"""The second four bytes of a .tflite."""
JAX_CARD, JAX_MODULE = "card.json", "module.bin"
"""Members of a .jax, which is a zip file."""

Form = Literal["step", "chunk"]
Precision = Literal["fp32", "fp16", "int8"]
Order = Literal["hwc", "chw"]


@dataclass(frozen=True)
class StateSpec:
    """One state tensor of an artifact. Its new value comes out under `new_<name>`."""

    name: str
    """Name of the input."""
    shape: tuple[int, ...]
    """Its shape in the artifact."""
    dtype: str
    """float32 or float16."""


@dataclass(frozen=True)
class ArtifactCard:
    """The contract of an artifact: inputs `frames`, `dt_s` and the states; outputs `pulse` and the
    new states."""

    model: str
    """Name in MODELS."""
    form: Form
    """step: one frame a call. chunk: always `n_frames` of them."""
    n_frames: int
    """Frames of a call: `frames` is (n_frames, height, width, 3) float32, `dt_s` and `pulse` are
    (n_frames,) float32."""
    precision: Precision
    """How the weights are kept and, for int8, what the convolutions compute in."""
    height: int
    """Rows of a face crop in pixels."""
    width: int
    """Columns of a face crop in pixels."""
    pixels: str
    """What a pixel is: "RGB in [0, 1]"."""
    fixed_dt_s: float | None
    """Seconds between frames where the artifact was made for one rate, and takes no `dt_s`."""
    order: Order
    """Axes of the states called mean_* and var_*; a states file has them as hwc."""
    states: tuple[StateSpec, ...]
    """Every state, in the order of inputs and of outputs."""
    states_file: str
    """Name of the file beside the artifact with the states before the first frame."""
    weights_sha256: str
    """Checksum of the weights file that it was made of."""
    physkit: str
    """Version that wrote it."""
    artifact_format: int = ARTIFACT_FORMAT
    """Version of this contract."""

    @property
    def keeps_half(self) -> bool:
        """Whether states are kept in half precision."""
        return any(state.dtype == "float16" for state in self.states)

    def to_json(self) -> str:
        """Text for the metadata of a file."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str | bytes | None, *, path: str) -> "ArtifactCard":
        """The card in a file's metadata.

        path: the file, for errors. Raises InputError for a file that is none of ours, or of a
        version that this one cannot run.
        """
        again = "make it again by physkit export"
        try:
            found: dict[str, Any] = json.loads(text or "")
            version = int(found["artifact_format"])
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"{path}: no artifact of physkit, it carries no card; {again}"
            ) from error
        if version != ARTIFACT_FORMAT:
            relation = "an older" if version < ARTIFACT_FORMAT else "a newer"
            fix = again if version < ARTIFACT_FORMAT else "upgrade physkit"
            raise InputError(
                f"{path}: of {relation} version ({version}, this physkit runs {ARTIFACT_FORMAT}); "
                f"{fix}"
            )
        try:
            states = tuple(
                StateSpec(state["name"], tuple(state["shape"]), state["dtype"])
                for state in found.pop("states")
            )
            return cls(states=states, **found)
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{path}: its card is damaged ({error}); {again}") from error
