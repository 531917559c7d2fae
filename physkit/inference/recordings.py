"""A model over prepared recordings."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch

from physkit.core.causes import cause_of
from physkit.core.errors import InputError
from physkit.core.naming import natural_order
from physkit.core.progress import ProgressBar
from physkit.core.registry import unknown_name
from physkit.data import EXTRAS
from physkit.data.extras import ReadExtra, extra_readers, read_extra
from physkit.data.store import NO_SEGMENT, Store, StoredRecording
from physkit.data.windows.label import clean_label, label_for_rate
from physkit.evaluate.predictions import MIN_SAMPLES, LeftOut, PredictedRecording
from physkit.inference.crops import TimedCrop
from physkit.inference.even import make_reader
from physkit.inference.inference import crop_size_px, usable_device
from physkit.inference.stream import PulseStream, ReadRows
from physkit.media.picture import resized
from physkit.nn.streaming import PulseModel
from physkit.runtime.torch_cpu import flushed_denormals, torch_threads
from physkit.signal.resample import mean_fps, sample_at

FRAMES_AT_ONCE = 512
"""Frames of a store that are read together: a few chunks."""


def readable_recordings(
    store: Store, subjects: Collection[str] | None = None
) -> tuple[list[StoredRecording], list[LeftOut]]:
    """The recordings of some people, by default of all, and those too damaged to be read.

    Raises InputError for an empty store, UnknownNameError for somebody who is not in it.
    """
    if not store.names:
        raise InputError(f"{store.path}: holds no recordings; fill it by physkit prep")
    readable: list[StoredRecording] = []
    cause = "only a part of it is there; run physkit prep again, or copy it anew"
    damaged: list[LeftOut] = [(name, f"{store.path}/{name}: {cause}") for name in store.partial]
    people: set[str] = set()
    for name in store.names:
        try:
            recording = store[name]
            people.add(recording.subject)
            _ = recording.n_frames  # read here, so that what lacks its frames is told here
        except InputError as error:
            damaged.append((name, str(error)))
        else:
            readable.append(recording)
    for subject in subjects or ():
        if subject not in people:
            known = sorted(people, key=natural_order)
            raise unknown_name(f"subject in {store.path}:", subject, known)
    return [r for r in readable if subjects is None or r.subject in subjects], damaged


def predict_recordings(
    recordings: Sequence[StoredRecording],
    model: PulseModel[Any],
    *,
    chunk_frames: int,
    device: str,
    threads: int | None,
    progress: bool,
    uses: Mapping[tuple[str, str], str] | None = None,
) -> tuple[list[PredictedRecording], list[LeftOut]]:
    """A model's pulse of each recording, and those that could not be read.

    progress: show a bar on a terminal's standard error.
    uses: what the model's weights say they were given people for; see `WeightsCard.uses`.
    Raises PhyskitError where the device cannot be used.
    """
    place = usable_device(device)
    predicted: list[PredictedRecording] = []
    left_out: list[LeftOut] = []
    total = sum(recording.n_frames for recording in recordings)
    with (
        torch_threads(threads),
        flushed_denormals(),
        ProgressBar(total=total, unit="frame", shown=progress) as bar,
    ):
        for recording in recordings:
            try:
                read = predict_recording(recording, model, chunk_frames=chunk_frames, device=place)
                predicted.append(replace(read, used_for=_use(recording, uses)))
            except Exception as error:  # noqa: BLE001 (told as left out: the others must go on)
                left_out.append((recording.name, cause_of(error)))
            bar.update(recording.n_frames)
    return predicted, left_out


def _use(recording: StoredRecording, uses: Mapping[tuple[str, str], str] | None) -> str | None:
    if uses is None:
        return None
    places = (recording.dataset, recording.store)
    known = (uses.get((place, recording.subject)) for place in places)
    return next((use for use in known if use), "nothing")


def predict_recording(
    recording: StoredRecording, model: PulseModel[Any], *, chunk_frames: int, device: torch.device
) -> PredictedRecording:
    """A model's pulse of one stored recording, and its label at the same moments.

    Moments without a face, and those that the label does not cover or stands still in, are left
    out; the true times of the others stand beside them.
    Raises InputError where too little is left, or where crops are smaller than the model reads.
    """
    reader = make_reader(model, device, _extras(recording, model))
    stream = PulseStream(reader, chunk_frames=chunk_frames)
    for item in recording_crops(recording, size=crop_size_px(model)):
        stream.push(item)
    pulse = stream.finish()
    label = label_for_rate(
        clean_label(recording.pulse, place=recording.place), fps=mean_fps(pulse.timestamps_s)
    )
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
        fps=mean_fps(pulse.timestamps_s),
        prediction=pulse.samples[known],
        label=true_samples[known],
        representation="waveform",
        timestamps_s=pulse.timestamps_s[known],
        conditions=recording.conditions,
    )


def _extras(recording: StoredRecording, model: PulseModel[Any]) -> dict[str, ReadRows]:
    """What gives the model's extra inputs of that recording, by name."""

    def rows(frames: np.ndarray, *, name: str, read: ReadExtra) -> np.ndarray:
        first = int(frames[0])
        part = slice(first, int(frames[-1]) + 1)
        found: np.ndarray = read_extra(name, read, recording, part)[frames - first]
        return found

    names = [
        name
        for name in model.extras
        if model.needs_extras or name in EXTRAS or recording.has_feature(name)
    ]
    readers = extra_readers(names)
    return {name: partial(rows, name=name, read=read) for name, read in readers.items()}


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
