"""The field's published networks with released weights: the release's own answers, a real face."""

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import physkit
from physkit.media.open import open_frames
from physkit.media.picture import resized
from physkit.models.merppg.network import MERPPG
from physkit.nn.streaming import PulseModel
from physkit.weights.load import load_model
from physkit.weights.manifest import find_weights, known_weights

EXACT = Path(__file__).with_name("zoo_float32.npz")
"""What open-rppg 0.1.1 itself answers when its networks compute in float32. The answers of the
assets are of its own setting, half precision: they lie up to 0.022 deviations from these, and up
to 0.085 where a running norm carries its rounding on."""
HALF, HALF_OF_STREAM = 0.023, 0.09
STREAM_FRAMES = 300
FLOAT32, FLOAT64 = 1e-3, 1e-4
BOX = slice(18, 512), slice(25, 420)
TITLES = {
    "merppg": "ME",
    "physnet": "PhysNet",
    "tscan": "TSCAN",
    "efficientphys": "EfficientPhys",
    "physformer": "PhysFormer",
    "rhythmmamba": "RhythmMamba",
    "physmamba": "PhysMamba",
}
"""How the release calls them."""
NAMES = [f"{model}-{training}" for model in TITLES for training in ("rlap", "pure")]


@cache
def crops(face: Path, size: int) -> np.ndarray:
    with open_frames(str(face), fps=None) as source:
        pictures = [resized(frame.rgb[BOX], height=size, width=size) for frame in source]
    return np.stack(pictures)


def released(name: str) -> PulseModel[Any]:
    path = find_weights(name)
    if path is None:
        pytest.skip(f"{name} is not here: physkit weights pull {name}")
    return load_model(known_weights()[name].model, path)


@torch.inference_mode()
def one_clip(net: PulseModel[Any], face: Path, dtype: torch.dtype) -> np.ndarray:
    """The answer to the first frames of the face, as the release gives it."""
    assert net.crop_size is not None
    n_frames = STREAM_FRAMES if net.config.model == "merppg" else net.config.frames
    clip = torch.from_numpy(crops(face, net.crop_size[0])[None, :n_frames]).to(dtype) / 255
    pulse = net.to(dtype).whole_pulse(clip, torch.full((1, n_frames), 1 / 30, dtype=dtype))[0]
    if net.label_form == "diff":  # the release hands back the change of the standardised pulse
        pulse = torch.diff(pulse, prepend=pulse.new_zeros(1))
    return pulse.double().numpy()


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_released_weights_give_the_releases_answer_at_every_frame(name: str, assets: Path) -> None:
    net, face = released(name), assets / "videos" / "face.mp4"
    golden_name = f"{TITLES[known_weights()[name].model]}_{name.rsplit('-', 1)[1]}"
    answer = one_clip(net, face, torch.float32)
    with np.load(EXACT) as exact:
        truth = exact[golden_name]
    assert np.abs(answer - truth).max() < FLOAT32 * truth.std()
    golden = np.load(assets / "zoo" / f"{golden_name}.npz")["face"]
    half = HALF_OF_STREAM if len(golden) == STREAM_FRAMES else HALF
    assert np.abs(answer - golden).max() < half * golden.std()
    assert np.abs(answer - one_clip(net, face, torch.float64)).max() < FLOAT64 * truth.std()


@pytest.mark.parametrize("training", ["rlap", "pure"])
def test_chunks_of_me_rppg_give_the_releases_answer(training: str, assets: Path) -> None:
    net, face = released(f"merppg-{training}"), assets / "videos" / "face.mp4"
    assert isinstance(net, MERPPG)
    clip = torch.from_numpy(crops(face, 36)[None, : net.clip_frames]).float() / 255
    with torch.inference_mode():
        answer = net.answer(clip)[0].numpy()
    with np.load(EXACT) as exact:
        truth = exact[f"ME_chunk_{training}"]
    assert np.abs(answer - truth).max() < FLOAT32 * truth.std()


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_released_weights_read_the_real_face(name: str, assets: Path) -> None:
    model = known_weights()[name].model
    released(name)
    result = physkit.predict(assets / "videos" / "face.mp4", model=model, weights=name)
    assert result.heart_rate_bpm == pytest.approx(52.5, abs=2)
