"""The gate lets equal waveforms pass and names what is wrong with others."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from cards import A_CARD

from physkit.core.artifact import StateSpec
from physkit.export.parity import Reference, canonical, compare, limits_of, reference
from physkit.models.facephys.config import FacePhysConfig
from physkit.models.facephys.network import FacePhys
from physkit.models.facephys.stream import FacePhysStream

SIZE = FacePhysConfig(height=9, width=9, channels=8, n_blocks=2, d_state=6, head_d_state=4)
TIMES_S = np.arange(600) / 30
WAVE = np.sin(2 * np.pi * 1.2 * TIMES_S)
CARD = dataclasses.replace(A_CARD, precision="int8", states=(StateSpec("rows", (3, 4), "float32"),))


def told(pulse: np.ndarray, precision: str = "int8") -> tuple[str, ...]:
    truth, answer = Reference(WAVE, {}, TIMES_S), Reference(pulse, {}, TIMES_S)
    card = dataclasses.replace(CARD, precision=precision)
    return compare(card, answer, truth, artifact="a", runtime="b").failures


def test_the_same_waveform_passes() -> None:
    assert told(WAVE) == told(WAVE, "fp32") == told(WAVE + 1e-4, "fp32") == ()


def test_what_breaks_a_limit_is_named() -> None:
    noise = np.random.default_rng(0).standard_normal(600)
    assert "is 0.00" in told(WAVE + 1e-3 * (TIMES_S > 3), "fp32")[0]
    assert "correlation" in told(WAVE + 0.1 * noise)[0]
    other = np.sin(2 * np.pi * 1.21 * TIMES_S)
    assert any("heart rate" in failure for failure in told(other))
    assert told(np.where(TIMES_S > 3, np.nan, WAVE))[-1] == "it answers NaN or infinity"
    assert "no heart rate" in told(noise)[0]


def test_states_in_half_precision_loosen_the_limits_to_what_they_can_keep() -> None:
    half = dataclasses.replace(CARD, states=(StateSpec("rows", (3, 4), "float16"),))
    assert limits_of(half).correlation == 0.999
    assert limits_of(CARD).correlation == 0.9995
    assert limits_of(CARD, is_drawn=True).correlation == 0.995
    exact = dataclasses.replace(CARD, precision="fp32")
    assert limits_of(exact, is_drawn=True) == limits_of(exact)
    assert limits_of(dataclasses.replace(half, precision="fp32")).max_error is None


@pytest.mark.parametrize("order", ["hwc", "chw"])
def test_states_are_compared_whatever_form_they_are_kept_in(order: str) -> None:
    torch.manual_seed(0)
    net = FacePhys(SIZE).eval()
    rng = np.random.default_rng(0)
    frames = rng.random((20, 9, 9, 3), dtype=np.float32)
    dt_s = np.full(20, 1 / 30, np.float32)
    truth = reference(net, frames, dt_s, (10, 20))
    stream, pulses, states = FacePhysStream(net, order=order), [], {}
    state = stream.init_state()
    with torch.no_grad():
        for t, frame in enumerate(frames, start=1):
            pulse, state = stream.step(
                torch.from_numpy(frame)[None], state, dt_s=torch.full((1,), 1 / 30)
            )
            pulses.append(float(pulse))
            if t in (10, 20):
                kept = {name: x.numpy() for name, x in state.items()}
                states[t] = canonical(net, kept, order)
    answer = Reference(np.array(pulses), states, truth.timestamps_s)
    found = compare(CARD, answer, truth, artifact="a", runtime="torch")
    assert found.max_error < 1e-5
    assert set(found.state_drift) == {10, 20}
    assert max(found.state_drift.values()) < 1e-5
    states[20].convs[0].norm.mean.mul_(1.01)
    broken = compare(CARD, answer, truth, artifact="a", runtime="torch")
    assert broken.state_drift[20] > 1e-3
    exact = dataclasses.replace(CARD, precision="fp32")
    assert "of its size" in compare(exact, answer, truth, artifact="a", runtime="b").failures[-1]
    answer.pulse[3] = np.nan
    dead = compare(CARD, answer, truth, artifact="a", runtime="torch").to_dict()
    assert dead["max_error"] is None
    json.dumps(dead, allow_nan=False)
