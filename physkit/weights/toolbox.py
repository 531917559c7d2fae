"""PhysNet as rPPG-Toolbox publishes it: a torch checkpoint of tensors by its own names."""

import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from physkit.core.causes import first_line
from physkit.core.errors import WeightsError
from physkit.models.physnet.network import WIDTHS
from physkit.weights.importers import WeightsImporter, readable_files, unsafe_pickle

PARALLEL = "module."
"""What torch's data parallel puts before every name."""
CONV_VALUES = ("weight", "bias")
NORM_VALUES = (*CONV_VALUES, "running_mean", "running_var", "num_batches_tracked")


def published_names() -> dict[str, str]:
    """Our name of each published tensor."""
    stages = {f"ConvBlock{i + 1}": f"encoder.{i}" for i in range(len(WIDTHS))}
    stages |= {"upsample": "decoder.0", "upsample2": "decoder.1"}
    names = {f"ConvBlock10.{value}": f"head.{value}" for value in CONV_VALUES}
    for theirs, ours in stages.items():
        for number, part, values in ((0, "conv", CONV_VALUES), (1, "norm", NORM_VALUES)):
            names |= {f"{theirs}.{number}.{value}": f"{ours}.{part}.{value}" for value in values}
    return names


def read_torch_physnet(path: Path) -> dict[str, Tensor]:
    """Tensors of a published PhysNet by our names.

    Read by torch's restricted unpickler, which makes tensors and runs nothing else.
    Raises WeightsError for a file that is damaged, holds more than tensors, or another model's.
    """
    tensors = _tensors(path)
    names = published_names()
    found = {key.removeprefix(PARALLEL): value for key, value in tensors.items()}
    if found.keys() != names.keys():
        odd = sorted(found.keys() ^ names.keys())[0]
        raise WeightsError(
            f"{path}: a torch file of another model: '{odd}' is "
            f"{'no tensor of PhysNet' if odd in found else 'missing'}; give {readable_files()}"
        )
    return {names[key]: value for key, value in found.items()}


def _tensors(path: Path) -> Mapping[str, Tensor]:
    """The state dict of a torch zip file."""
    if not zipfile.is_zipfile(path):
        raise WeightsError(f"{path}: damaged torch file; download it again")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise unsafe_pickle(path) from error
    # what torch makes of damage within a zip file
    except (RuntimeError, OSError, EOFError, ValueError, KeyError, TypeError) as error:
        reason = first_line(error)
        raise WeightsError(f"{path}: damaged torch file ({reason}); download it again") from error
    is_state_dict = isinstance(content, Mapping) and all(
        isinstance(key, str) and isinstance(value, Tensor) for key, value in content.items()
    )
    if not is_state_dict:
        raise WeightsError(
            f"{path}: a torch file of another model: it holds more than named tensors; give "
            f"{readable_files()}"
        )
    return content  # type: ignore[no-any-return]


IMPORTER = WeightsImporter(
    model="physnet",
    title="a PhysNet of rPPG-Toolbox",
    file_format="torch checkpoint",
    magic=b"PK\x03\x04",
    read=read_torch_physnet,
)
"""The published PhysNet."""
