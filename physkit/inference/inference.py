"""What every pipeline that runs a model needs: the model, its input size, its device."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch

from physkit.core.errors import InputError, PhyskitError, WeightsError
from physkit.models import MODELS, deployable
from physkit.nn.clip_network import ClipNetwork
from physkit.nn.streaming import PulseModel
from physkit.weights.file import sha256
from physkit.weights.load import load_model, read_any_weights
from physkit.weights.manifest import find_weights, known_weights, weights_at_hand

if TYPE_CHECKING:
    from physkit.models.facephys.network import FacePhys

CROP_SIZE_PX = 36
"""Side of a crop for models that read crops of any size."""


def choose_model(
    name: str, weights_file: str | None
) -> tuple[str, PulseModel[Any], tuple[str, ...]]:
    """Name and model, and what to tell the user of a choice made for them; see `choose_weights`."""
    name, weights, notes = choose_weights(name, weights_file)
    return name, load_model(name, weights), notes


def choose_weights(name: str, weights_file: str | None) -> tuple[str, Path | None, tuple[str, ...]]:
    """Name of a model, its weights, and what to tell the user of a choice made for them.

    name: "auto" is the model that the weights belong to, else facephys.
    weights_file: None is the weights at hand: those that were pulled, else those of our own.
    Raises UnknownNameError or WeightsError.
    """
    if weights_file:
        weights = named_file(weights_file)
        name = read_any_weights(weights)[0].model if name == "auto" else name
        return name, weights, ()
    name = "facephys" if name == "auto" else name
    found = weights_at_hand(name)
    if found is None:
        return name, None, ()
    weights_name, weights = found
    notes: tuple[str, ...] = ()
    if known_weights()[weights_name].is_ours:
        detector = "; a better face detector: physkit weights pull blazeface"
        face = "" if find_weights("blazeface") else detector
        released = f"the released ones, trained on real faces: physkit weights pull {name}{face}"
        notes = (f"weights {weights_name}: our own, of synthetic people only; {released}",)
    return name, weights, notes


def named_file(weights: str) -> Path:
    """A weights file: at its path, or, where there is none, by its name in the manifest.

    Raises WeightsError for weights of that name that were not fetched.
    """
    path = Path(weights)
    if path.exists() or weights not in known_weights():
        return path
    found = find_weights(weights)
    if found is None:
        raise WeightsError(
            f"weights '{weights}' are not here: fetch them once by physkit weights pull {weights}"
        )
    return found


def known_people(weights: Path | None) -> Mapping[tuple[str, str], str] | None:
    """What weights were given people for; None for a model without weights: it knows nobody."""
    return {} if weights is None else read_any_weights(weights)[0].uses


def load_clip_network(weights_file: str | None) -> tuple[ClipNetwork, str] | None:
    """A network that reads clips, and the checksum of its weights; None for another's weights."""
    name, path, _ = choose_weights("auto", weights_file)
    if path is None or not issubclass(MODELS[name], ClipNetwork):
        return None
    return cast(ClipNetwork, load_model(name, path)), sha256(path)


def load_deployable(weights_file: str | None) -> tuple["FacePhys", str]:
    """A network that can be exported, and the checksum of its weights file.

    weights_file: None as in `choose_weights`. Raises WeightsError.
    """
    name, path, _ = choose_weights("auto", weights_file)
    net = load_model(name, path)
    assert path is not None  # or there would be no network
    if net.deployed is None:
        raise WeightsError(
            f"{path}: weights of '{name}', which has no form to export; give those of "
            f"{' or '.join(deployable())}"
        )
    return cast("FacePhys", net), sha256(path)


def crop_size_px(model: PulseModel[Any]) -> int:
    """Side of the square crops that the model reads."""
    height, width = model.crop_size or (CROP_SIZE_PX, CROP_SIZE_PX)
    return square_px(type(model).__name__, height=height, width=width)


def square_px(model: str, *, height: int, width: int) -> int:
    """Side of a model's crops. Raises InputError where they are no squares."""
    if height != width:
        raise InputError(
            f"this {model} reads {width}x{height} pixels, and faces are cut as squares; use it "
            "from Python: physkit.load(...)"
        )
    return height


def usable_device(name: str) -> torch.device:
    """The torch device called `name`; raises PhyskitError where it cannot be used."""
    try:
        device = torch.device(name)
        torch.zeros(1, dtype=torch.float64, device=device).tolist()  # phases are float64
    except (RuntimeError, AssertionError, TypeError) as error:
        reason = str(error).splitlines()[0]
        raise PhyskitError(
            f"--compute.device {name}: not usable here ({reason}); use cpu"
        ) from error
    return device
