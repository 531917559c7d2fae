"""Our PhysNet with the released weights: the published golden values, and a real face."""

from pathlib import Path

import numpy as np
import pytest
import torch
from einops import rearrange

import physkit
from physkit.inference.result import PulseResult
from physkit.models.physnet.network import PhysNet
from physkit.signal.filters import bandpass, detrend
from physkit.weights.load import load_model

GOLDEN = [-6.0614, -6.9631, -6.7579, -5.1755, 0.4251]
"""First answers to `torch.randn(1, 3, 128, 72, 72)` after `torch.manual_seed(0)`."""
FACE_BPM = 52.5
"""What the released FacePhys reads on face.mp4; POS reads 52.7."""


@pytest.fixture(scope="module")
def released(assets: Path) -> Path:
    return assets / "physnet" / "PURE_PhysNet_DiffNormalized.pth"


@torch.inference_mode()
def test_the_released_weights_give_the_golden_values(released: Path) -> None:
    net = load_model("physnet", released)
    assert isinstance(net, PhysNet)
    assert sum(p.numel() for p in net.parameters()) == 768_577
    torch.manual_seed(0)
    change = rearrange(torch.randn(1, 3, 128, 72, 72), "b c t h w -> b t h w c")
    assert net.answer(change)[0, :5].tolist() == pytest.approx(GOLDEN, abs=1e-3)


def filtered(result: PulseResult) -> np.ndarray:
    return bandpass(detrend(result.pulse.samples), fps=30.0, low_hz=0.6, high_hz=3.3)


@pytest.mark.slow
def test_the_released_weights_read_the_real_face(assets: Path, released: Path) -> None:
    face = assets / "videos" / "face.mp4"
    mine = physkit.predict(face, weights=released)
    assert mine.model == "physnet"
    assert mine.heart_rate_bpm == pytest.approx(FACE_BPM, abs=1.5)
    assert mine.signal_quality > 0.8
    theirs = physkit.predict(face, weights=assets / "facephys" / "FacePhys.weights.h5")
    # up with blood volume; the labels of PURE come a few frames after those of FacePhys' training
    a, b = filtered(mine), filtered(theirs)
    assert np.corrcoef(a[4:], b[:-4])[0, 1] > 0.9
