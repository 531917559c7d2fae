"""The page reads in a pulse what `read_pulse` reads."""

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from physkit.core.types import Pulse
from physkit.signal.reading import read_pulse

WEB = Path(__file__).parents[2] / "web"
KINDS = [
    (fps, duration_s, noise)
    for fps, duration_s in ((30, 9), (25, 31), (60, 12), (15, 75), (30, 6))
    for noise in (0.05, 0.5, 1.5)
]


def clip(kind: int, fps: float, duration_s: float, noise: float) -> Pulse:
    """A pulse with harmonics, drift and noise; some on a jittered clock, some with gaps."""
    rng = np.random.default_rng(kind)
    t = np.arange(round(duration_s * fps)) / fps
    if kind % 3 == 1:
        t = t + rng.uniform(-0.2, 0.2, t.size) / fps
    phase = 2 * np.pi * rng.uniform(0.75, 2.5) * (t + 0.02 * np.sin(1.2 * t))
    x = -np.cos(phase) - 0.4 * np.cos(2 * phase + 0.7) - 0.15 * np.cos(3 * phase + 1)
    x += rng.normal(0, noise, t.size) + 0.1 * t
    if kind % 4 == 3:
        x[10:14] = np.nan
        x[(t > 0.45 * duration_s) & (t < 0.6 * duration_s)] = np.nan
    return Pulse(x, t)


def test_heart_rate_and_quality_are_those_of_python() -> None:
    if shutil.which("node") is None or not (WEB / "node_modules").is_dir():
        pytest.skip("node, or the page's packages, are missing: make web brings them")
    clips = [clip(kind, *how) for kind, how in enumerate(KINDS)]
    told = [
        {
            "samples": [None if np.isnan(value) else value for value in pulse.samples.tolist()],
            "times_s": pulse.timestamps_s.tolist(),
        }
        for pulse in clips
    ]
    answer = subprocess.run(
        ["node", "tests/reading.mjs"],
        cwd=WEB,
        input=json.dumps(told),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    readings = json.loads(answer.stdout)
    rates = [reading["heartRateBpm"] for reading in readings]
    assert any(rate is None for rate in rates)
    assert sum(rate is not None for rate in rates) > len(clips) / 2
    for pulse, reading in zip(clips, readings, strict=True):
        python = read_pulse(pulse)
        assert reading["heartRateBpm"] == pytest.approx(python.heart_rate_bpm, abs=1e-6)
        assert (reading["signalQuality"] or 0) == pytest.approx(python.signal_quality, abs=1e-6)
