"""A real clip, and what a careless world does to it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from clips import stored_pictures, write_video

import physkit
from physkit.synth.write import SynthConfig
from physkit.synth.write import run as synthesise


@pytest.fixture(scope="session")
def face_mp4(assets: Path) -> Path:
    return assets / "videos" / "face.mp4"


@pytest.fixture(scope="session")
def released_weights(assets: Path) -> Path:
    return assets / "facephys" / "FacePhys.weights.h5"


@pytest.fixture(scope="session")
def reencoded(face_mp4: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """`face.mp4` at half its rate, with frames dropped, or turned by metadata."""
    folder = tmp_path_factory.mktemp("reencoded")

    def make(kind: str) -> Path:
        path, every = folder / f"{kind}.mp4", np.arange(301)
        if path.exists():
            return path
        kept, turns = every, 0
        if kind == "half":
            kept = every[::2]
        elif kind == "dropped":
            kept = every[np.random.default_rng(0).random(301) > 0.3]
        else:
            turns = int(kind.removeprefix("rotated")) // 90
        chosen = set(kept.tolist())
        return write_video(
            path,
            (
                np.rot90(rgb, turns)
                for index, rgb in enumerate(stored_pictures(face_mp4))
                if index in chosen
            ),
            times_s=(kept / 30).tolist(),
            rotation_degrees=-90 * turns if turns else None,
            codec_options={"crf": "12", "preset": "ultrafast"},
        )

    return make


@pytest.fixture(scope="session")
def raw_ubfc(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight synthetic recordings as UBFC-rPPG holds them; not to be written to."""
    root = tmp_path_factory.mktemp("raw") / "ubfc"
    config = SynthConfig("ubfc", str(root), subjects=8, seconds=3, width=320, height=240, workers=2)
    synthesise(config)
    return root


@pytest.fixture(scope="session")
def prepared_ubfc(raw_ubfc: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store of `raw_ubfc` by an undisturbed run; not to be written to."""
    store = tmp_path_factory.mktemp("prepared") / "ubfc.zarr"
    physkit.prepare(dataset="ubfc", raw=raw_ubfc, out=store, engine="serial")
    return store
