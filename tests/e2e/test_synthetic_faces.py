"""What detectors and the released network make of clean synthetic people."""

from pathlib import Path

import numpy as np
import pytest
import torch

import physkit
from physkit.face.crop import crop_tracked
from physkit.face.detect import DETECTORS
from physkit.face.track import FaceTracker
from physkit.inference.crops import TimedCrop
from physkit.inference.stream import ModelReader, PulseStream
from physkit.runtime.torch_cpu import flushed_denormals
from physkit.signal.reading import read_pulse
from physkit.synth.plan import RecordingPlan, plan_recording

PEOPLE = range(1, 6)
SECONDS = 15.0


def clean(subject: int, *, seconds: float, fps: float = 30.0) -> RecordingPlan:
    return plan_recording(
        "clean",
        layout="ubfc",
        seed=5,
        subject=subject,
        turn=0,
        duration_s=seconds,
        width=320,
        height=240,
        fps=fps,
    )


@pytest.fixture(scope="module")
def people() -> list[tuple[float, list[np.ndarray]]]:
    """Skin tone of each person, and four pictures a second apart."""
    plans = [clean(subject, seconds=4.0, fps=1.0) for subject in range(1, 17)]
    return [
        (plan.parameters.skin.fitzpatrick, [frame.rgb for frame in plan.synthesis().frames()])
        for plan in plans
    ]


@pytest.mark.slow
@pytest.mark.parametrize("detector", ["haar", "blazeface"])
def test_detectors_find_synthetic_faces_of_every_skin_tone(
    detector: str, people: list[tuple[float, list[np.ndarray]]], assets: Path
) -> None:
    model = [assets / "faces" / "blaze_face_short_range.tflite"] if detector != "haar" else []
    finder = DETECTORS[detector](*model)
    tones, found = [], []
    for tone, pictures in people:
        tones.append(tone)
        assert len(pictures) == 4
        found += [bool(faces) and faces[0].confidence >= 0.5 for faces in finder.detect(pictures)]
    assert min(tones) < 2
    assert max(tones) > 5
    assert np.mean(found) >= 0.98


@pytest.mark.slow
def test_the_released_network_reads_clean_synthetic_people(released_weights: Path) -> None:
    model = physkit.load("facephys", weights=released_weights)
    errors_bpm = []
    for subject in PEOPLE:
        synthesis = clean(subject, seconds=SECONDS).synthesis()
        stream = PulseStream(ModelReader(model, torch.device("cpu")), chunk_frames=64)
        with flushed_denormals():
            for seen in FaceTracker(DETECTORS["haar"]()).track(synthesis.frames()):
                crop = crop_tracked(seen)
                stream.push(TimedCrop(seen.frame.timestamp_s, crop, seen.segment))
            reading = read_pulse(stream.finish())
        assert reading.heart_rate_bpm is not None
        errors_bpm.append(abs(reading.heart_rate_bpm - synthesis.heart_rate_bpm))
    assert max(errors_bpm) < 3.0, errors_bpm
