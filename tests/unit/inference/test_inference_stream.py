"""A pulse model over a stream with gaps: one sample a frame, NaN where nothing was seen."""

import numpy as np
import pytest
import torch

from physkit.inference.crops import TimedCrop
from physkit.inference.stream import MAX_GAP_S, ModelReader, PulseStream
from physkit.models import MODELS
from physkit.models.facephys.config import FacePhysConfig
from physkit.models.facephys.network import FacePhys

CPU = torch.device("cpu")
SIZE = 8


@pytest.fixture(scope="module")
def net() -> FacePhys:
    torch.manual_seed(1)
    config = FacePhysConfig(
        height=SIZE, width=SIZE, channels=8, n_blocks=2, d_state=4, head_d_state=2
    )
    return FacePhys(config).eval()


def crops(n: int, *, start_s: float = 0.0, segment: int = 0, seed: int = 0) -> list[TimedCrop]:
    rng = np.random.default_rng(seed)
    frames = rng.integers(0, 256, (n, SIZE, SIZE, 3), dtype=np.uint8)
    times_s = start_s + np.cumsum(rng.uniform(0.02, 0.05, n))
    return [TimedCrop(float(t), f, segment) for t, f in zip(times_s, frames, strict=True)]


def unseen(n: int, *, start_s: float) -> list[TimedCrop]:
    return [TimedCrop(start_s + 0.04 * (i + 1), None, None) for i in range(n)]


def pulse_of(model: torch.nn.Module, items: list[TimedCrop], *, chunk: int = 16) -> np.ndarray:
    stream = PulseStream(ModelReader(model, CPU), chunk_frames=chunk)  # type: ignore[arg-type]
    for item in items:
        stream.push(item)
    pulse = stream.finish()
    assert len(pulse.samples) == len(items)
    assert stream.n_seen == sum(item.crop is not None for item in items)
    return pulse.samples


@pytest.mark.parametrize("name", ["pos", "chrom", "green", "ica", "facephys"])
def test_the_chunk_size_does_not_change_the_pulse(name: str, net: FacePhys) -> None:
    model = net if name == "facephys" else MODELS[name]()
    items = crops(150)
    whole = pulse_of(model, items, chunk=1000)
    assert np.isfinite(whole).all()
    for chunk in (1, 7, 64):
        np.testing.assert_allclose(pulse_of(model, items, chunk=chunk), whole, atol=2e-5)


@pytest.mark.parametrize("name", ["pos", "ica", "facephys"])
def test_there_is_pulse_exactly_where_a_face_was_seen(name: str, net: FacePhys) -> None:
    model = net if name == "facephys" else MODELS[name]()
    first = crops(80)
    gap = unseen(30, start_s=first[-1].timestamp_s)
    second = crops(90, start_s=gap[-1].timestamp_s, segment=1)
    samples = pulse_of(model, first + gap + second)
    seen = [item.crop is not None for item in first + gap + second]
    assert np.array_equal(np.isfinite(samples), seen)


def test_after_a_long_gap_or_another_face_the_model_starts_anew(net: FacePhys) -> None:
    first, later = crops(60), crops(60, start_s=30.0, seed=2)
    alone = pulse_of(net, later)
    np.testing.assert_allclose(pulse_of(net, first + later)[60:], alone, atol=2e-5)
    soon = first[-1].timestamp_s
    other = crops(60, start_s=soon, segment=1, seed=2)
    np.testing.assert_allclose(pulse_of(net, first + other)[60:], alone, atol=2e-5)


def test_over_a_short_gap_the_model_carries_on(net: FacePhys) -> None:
    first = crops(60)
    gap = unseen(5, start_s=first[-1].timestamp_s)
    second = crops(60, start_s=gap[-1].timestamp_s, seed=2)
    assert second[0].timestamp_s - first[-1].timestamp_s < MAX_GAP_S
    together = pulse_of(net, first + gap + second)
    assert np.abs(together[65:] - pulse_of(net, second)).max() > 1e-3


def test_float_crops_read_as_their_bytes_do(net: FacePhys) -> None:
    items = crops(70)
    as_float = [
        TimedCrop(i.timestamp_s, (i.crop / 255).astype(np.float32), 0)  # type: ignore[operator]
        for i in items
    ]
    np.testing.assert_allclose(pulse_of(net, as_float), pulse_of(net, items), atol=1e-5)


def test_a_stretch_of_one_frame_gives_one_sample(net: FacePhys) -> None:
    assert np.isfinite(pulse_of(net, crops(1))).all()
    assert np.isfinite(pulse_of(MODELS["pos"](), crops(1))).all()
