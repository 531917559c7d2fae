"""What every test shares: where the real files lie, and shape checks at run time."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from jaxtyping import install_import_hook

# Two processes test at once; threads that wait for the other's cores spin. Before torch is loaded.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# Annotated shapes are checked in every test; modules that torch.compile traces are not hooked.
install_import_hook(
    [
        "physkit.core",
        "physkit.data",
        "physkit.evaluate",
        "physkit.face",
        "physkit.media",
        "physkit.models.classical",
        "physkit.signal",
        "physkit.synth",
    ],
    "shape_checks.checked",
)

from torch import cuda  # noqa: E402

if not cuda.is_available():
    # How Triton's kernels run without a GPU; decided when Triton is imported, by whichever test.
    os.environ.setdefault("TRITON_INTERPRET", "1")

REPOSITORY = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def assets() -> Path:
    """Released weights and real recordings; `PHYSKIT_ASSETS` overrides where they lie."""
    folder = Path(os.environ.get("PHYSKIT_ASSETS", REPOSITORY.parent / "shared" / "assets"))
    if not folder.is_dir():
        pytest.skip(f"{folder} is absent: the real recordings are not part of the repository")
    return folder


@pytest.fixture(autouse=True)
def _arithmetic_is_left_alone() -> Iterator[None]:
    """Nothing makes the caller's thread flush denormals to zero and leaves it so."""
    yield
    assert np.float32(1e-40) * np.float32(1) > 0, "this thread flushes denormals now"
