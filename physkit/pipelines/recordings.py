"""A model over prepared recordings."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from physkit.core.errors import InputError
from physkit.data.label_clock import clean_label
from physkit.data.store import NO_SEGMENT, StoredRecording
from physkit.evaluate.predictions import MIN_SAMPLES, PredictedRecording
from physkit.media.picture import resized
from physkit.nn.streaming import PulseModel
from physkit.pipelines.crops import TimedCrop
from physkit.pipelines.inference import crop_size_px
from physkit.pipelines.stream import PulseStream
from physkit.signal.resample import median_fps, sample_at

FRAMES_AT_ONCE = 512
"""Frames of a store that are read together: a few chunks."""


def predict_recording(
    recording: StoredRecording, model: PulseModel[Any], *, chunk_frames: int, device: torch.device
) -> PredictedRecording:
    """A model's pulse of one stored recording, and its label at the same moments.

    Moments without a face, and those that the label does not cover or stands still in, are left
    out; the true times of the others stand beside them.
    Raises InputError where too little is left, or where crops are smaller than the model reads.
    """
    stream = PulseStream(model, chunk_frames=chunk_frames, device=device)
    for item in recording_crops(recording, size=crop_size_px(model)):
        stream.push(item)
    pulse = stream.finish()
    label = clean_label(recording.pulse, place=recording.place)
    true_samples = sample_at(label.samples, label.timestamps_s, pulse.timestamps_s)
    known = np.isfinite(pulse.samples) & np.isfinite(true_samples)
    if np.count_nonzero(known) < MIN_SAMPLES:
        raise InputError(
            f"{recording.place}: {np.count_nonzero(known)} frames with both a face and a label; "
            "see physkit audit"
        )
    return PredictedRecording(
        recording=recording.name,
        subject=recording.subject,
        fps=median_fps(pulse.timestamps_s),
        prediction=pulse.samples[known],
        label=true_samples[known],
        representation="waveform",
        timestamps_s=pulse.timestamps_s[known],
        conditions=recording.conditions,
    )


def recording_crops(recording: StoredRecording, *, size: int) -> Iterator[TimedCrop]:
    """The crops of a prepared recording, area-resized where their size is another.

    Raises InputError for crops smaller than the model's input.
    """
    side = recording.size_px
    if side < size:
        raise InputError(
            f"{recording.place}: crops are {side}x{side} pixels, the model reads {size}x{size}; "
            f"prepare the data set anew with --size {size}"
        )
    times_s, segments = recording.timestamps_s.tolist(), recording.segments.tolist()
    for start in range(0, recording.n_frames, FRAMES_AT_ONCE):
        for index, crop in enumerate(recording.frames(start, start + FRAMES_AT_ONCE), start):
            if segments[index] == NO_SEGMENT:
                yield TimedCrop(times_s[index], None, None)
                continue
            picture = crop if side == size else resized(crop, height=size, width=size)
            yield TimedCrop(times_s[index], picture, segments[index])
