"""Predicted recordings with known heart rates."""

from collections.abc import Callable

import numpy as np
import pytest

from physkit.evaluate.predictions import PredictedRecording


@pytest.fixture(scope="session")
def recordings() -> Callable[..., list[PredictedRecording]]:
    """Makes recordings at 50, 55, 60 .. bpm whose predictions are late, noisy and off by a bias."""

    def make(
        n: int = 6,
        *,
        duration_s: float = 40.0,
        fps: float = 30.0,
        noise: float = 0.5,
        bias_bpm: float = 0.0,
        representation: str = "waveform",
        seed: int = 0,
    ) -> list[PredictedRecording]:
        rng = np.random.default_rng(seed)
        made = []
        t = np.arange(round(duration_s * fps)) / fps
        for i in range(n):
            bpm = 50 + 5 * i
            label = np.sin(2 * np.pi * bpm / 60 * t)
            prediction = np.sin(2 * np.pi * (bpm + bias_bpm) / 60 * t - 0.5)
            prediction = prediction + noise * rng.standard_normal(t.size)
            if representation == "diff":
                label, prediction = (np.diff(x, prepend=0.0) for x in (label, prediction))
            conditions = {"skin_tone": 1 + i % 3, "light": "lamp" if i % 2 else "window"}
            made.append(
                PredictedRecording(
                    f"r{i}",
                    f"s{i // 2}",
                    fps,
                    prediction,
                    label,
                    representation,
                    conditions=conditions,
                )
            )
        return made

    return make
