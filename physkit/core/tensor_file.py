"""Named arrays in a safetensors file, without torch.

safetensors is imported when a file is read or written: a session that does neither does without.
"""

from collections.abc import Collection, Mapping
from pathlib import Path

import numpy as np

from physkit.core.errors import InputError
from physkit.core.files import whole_file

DTYPES = tuple(np.dtype(name) for name in ("f2", "f4", "f8", "i8"))
"""Types that states have."""


def write_arrays(
    path: Path, arrays: Mapping[str, np.ndarray], metadata: Mapping[str, str] | None = None
) -> None:
    """All arrays, bit by bit, or no file. Raises InputError where it cannot be written."""
    from safetensors.numpy import save

    # safetensors copies the memory and ignores strides
    contiguous = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    with whole_file(path) as unfinished:
        unfinished.write_bytes(save(contiguous, dict(metadata or {})))


def read_arrays(
    path: Path, names: Collection[str] | None = None
) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Arrays (those of `names` where it is given) and metadata, with no more in memory than these.

    Raises InputError for a file that is missing or damaged.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with path.open("rb"):  # its errors say why; those of safetensors are not all OSErrors
            pass
        # read, not mapped: mapped pages would count as the session's memory, beside the arrays
        with safe_open(path, framework="numpy", backend="pread") as file:
            wanted = [name for name in file.keys() if names is None or name in names]  # noqa: SIM118
            arrays = {name: file.get_tensor(name) for name in wanted}
            metadata = file.metadata() or {}
    except OSError as error:
        reason = error.strerror or error
        raise InputError(f"{path}: {reason}; it belongs beside its artifact") from error
    except (SafetensorError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{path}: damaged safetensors ({error}); make it again") from error
    for name, array in arrays.items():
        if array.dtype not in DTYPES:
            raise InputError(
                f"{path}: damaged safetensors ({name} is {array.dtype}); make it again"
            )
    return arrays, metadata
