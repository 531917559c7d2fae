"""A store that tests of windows read."""

from pathlib import Path

import pytest
from window_stores import write_steady


@pytest.fixture(scope="session")
def steady(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three people: 10, 20 and 5 seconds at 66, 72 and 78 bpm; not to be written to."""
    store = tmp_path_factory.mktemp("windows") / "steady.zarr"
    for number, (n_frames, bpm) in enumerate([(300, 66.0), (600, 72.0), (150, 78.0)], 1):
        subject = f"s{number}"
        write_steady(store, f"{subject}_1", n_frames=n_frames, bpm=bpm, subject=subject)
    return store
