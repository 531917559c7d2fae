"""False heart rates of still photos, readings kept, and vital signs of synthetic people.

usage: measure.py stills PICTURES_OR_VIDEOS ... | measure.py people   [--models pos,facephys]
       [--weights FILE] [--n 200] [--seed 5] [--preset clean] [--seconds 60]
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from physkit.face.crop import crop_tracked
from physkit.face.detect import DETECTORS
from physkit.face.track import FaceTracker
from physkit.inference.crops import TimedCrop
from physkit.inference.readers import Choice, choose_reader
from physkit.inference.stream import PulseStream
from physkit.media.open import open_frames
from physkit.runtime.torch_cpu import flushed_denormals
from physkit.signal.hrv import hrv
from physkit.signal.reading import PulseReading, read_pulse
from physkit.synth.plan import RecordingPlan, plan_recording

FPS, STILL_S, FACE_PX = 30.0, 20.0, 128


def reader(model: str, weights: str | None) -> Choice:
    return choose_reader(model, weights, "auto", threads=None, device="cpu", frame_by_frame=False)


def read(choice: Choice, items: Iterator[TimedCrop]) -> PulseReading:
    stream = PulseStream(choice.reader, chunk_frames=64)
    with flushed_denormals():
        for item in items:
            stream.push(item)
        return read_pulse(stream.finish(), gate=choice.gate)


def faces(names: list[str]) -> list[np.ndarray]:
    """Every face of pictures, of the first frames of videos, and of twenty synthetic people."""
    pictures = []
    for name in names:
        picture = cv2.imread(name)
        if picture is None:
            with open_frames(name, fps=None) as frames:
                pictures.append(next(iter(frames)).rgb)
        else:
            pictures.append(np.ascontiguousarray(picture[..., ::-1]))
    for subject in range(1, 21):
        pictures.append(next(iter(person("varied", 31, subject, 4.0).synthesis().frames())).rgb)
    found = []
    for picture in pictures:
        for face in DETECTORS["haar"]().detect([picture])[0]:
            x, y, side = (max(0, int(v)) for v in (face.box.x, face.box.y, face.box.width))
            found.append(cv2.resize(picture[y : y + side, x : x + side], (FACE_PX, FACE_PX)))
    return found


def still(face: np.ndarray, index: int, size: int) -> Iterator[TimedCrop]:
    """A photo under a camera: with grain, swaying, or both by turns."""
    rng, n = np.random.default_rng([7, index]), round(STILL_S * FPS)
    kind = ("noise", "sway", "both")[index % 3]
    noise = rng.uniform(0.3, 1) if kind == "sway" else rng.uniform(1, 8) * size / 36
    sway = 0.0 if kind == "noise" else rng.uniform(0.3, 3)

    def wander() -> np.ndarray:
        hz, high_hz = np.fft.rfftfreq(n, 1 / FPS), rng.uniform(0.3, 2.4)
        slope = np.maximum(hz, 0.2) ** -rng.uniform(0, 1)
        wave = np.where((hz > 0.05) & (hz < high_hz), slope, 0)
        x = np.fft.irfft(wave * np.exp(2j * np.pi * rng.uniform(size=hz.size)), n)
        return x / x.std()

    dx, dy = sway * wander(), sway * wander()
    light = 1 + rng.choice([0, 0.003, 0.01]) * wander()
    for i in range(n):
        move = np.array([[1, 0, dx[i]], [0, 1, dy[i]]], np.float32)
        moved = cv2.warpAffine(face, move, face.shape[:2], borderMode=cv2.BORDER_REFLECT)
        crop = cv2.resize(moved, (size, size), interpolation=cv2.INTER_AREA) * light[i]
        crop = crop + rng.normal(0, noise, crop.shape)
        yield TimedCrop(i / FPS, np.clip(np.rint(crop), 0, 255).astype(np.uint8), 0)


def person(preset: str, seed: int, subject: int, seconds: float) -> RecordingPlan:
    return plan_recording(
        preset,
        layout="ubfc",
        seed=seed,
        subject=subject,
        turn=0,
        duration_s=seconds,
        width=320,
        height=240,
        fps=FPS,
    )


def people(choices: dict[str, Choice], told: argparse.Namespace) -> None:
    errors: dict[tuple[str, str], list[float]] = {}
    for subject in range(1, told.n + 1):
        plan = person(told.preset, told.seed, subject, told.seconds)
        synthesis = plan.synthesis()
        seen = list(FaceTracker(DETECTORS["haar"]()).track(synthesis.frames()))
        true = hrv(synthesis.beat_times_s, min_duration_s=0.0)
        for name, choice in choices.items():
            items = (
                TimedCrop(s.frame.timestamp_s, crop_tracked(s, size=choice.size_px), s.segment)
                for s in seen
            )
            found = read(choice, items)
            values = {
                "heart rate": (found.heart_rate_bpm, synthesis.heart_rate_bpm),
                "respiration": (
                    found.respiration_rate_bpm,
                    plan.parameters.pulse.respiration_rate_bpm,
                ),
                "SDNN": (found.hrv and found.hrv.sdnn_ms, true and true.sdnn_ms),
                "RMSSD": (found.hrv and found.hrv.rmssd_ms, true and true.rmssd_ms),
            }
            for what, (value, truth) in values.items():
                answered = errors.setdefault((name, what), [])
                if value is not None and truth is not None:
                    answered.append(abs(value - truth))
    for (name, what), e in errors.items():
        worst = f"mean error {np.mean(e):.1f}, largest {max(e):.1f}" if e else ""
        print(f"{name}  {what}: {len(e)} of {told.n} answered  {worst}")  # noqa: T201


def stills(choices: dict[str, Choice], told: argparse.Namespace) -> None:
    shown = faces(told.files)
    for name, choice in choices.items():
        n_false = sum(
            read(choice, still(shown[i % len(shown)], i, choice.size_px)).heart_rate_bpm is not None
            for i in range(told.n)
        )
        print(f"{name}  {n_false} of {told.n} still photos have a heart rate")  # noqa: T201


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["stills", "people"])
    parser.add_argument("files", nargs="*", help="pictures or videos of faces, for stills")
    parser.add_argument("--models", default="pos")
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--n", type=int, default=200)
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--preset", default="clean")
    parser.add_argument("--seconds", type=float, default=60.0)
    told = parser.parse_args()
    weights = None if told.weights is None else str(told.weights)
    choices = {m: reader(m, weights) for m in told.models.split(",")}
    (stills if told.what == "stills" else people)(choices, told)


if __name__ == "__main__":
    main()
