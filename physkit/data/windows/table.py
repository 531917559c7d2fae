"""Where windows come from: the usable recordings of some stores, and a few of them held open."""

import itertools
import os
from collections import Counter, OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int32

from physkit.core.causes import cause_of
from physkit.core.errors import InputError
from physkit.core.naming import natural_order
from physkit.data.store import NO_SEGMENT, Store, StoredRecording, open_store
from physkit.data.windows.config import WindowSource
from physkit.data.windows.label import EDGE_S, LabelClock, clean_label, label_for_rate, label_runs
from physkit.signal.resample import MAX_GAP_S, mean_fps

CACHE_BYTES = 64 << 20
"""Memory for times and labels of open recordings in each process; about 700 minutes' worth."""
HANDLE_BYTES = 1 << 15
"""What an open recording costs beside its arrays."""


@dataclass(frozen=True)
class Stretch:
    """Frames between which nothing lacks: one face, one run of the label, no gap in time."""

    start: int
    """First frame."""
    stop: int
    """The frame after the last."""
    start_s: float
    """Time of the first frame."""
    stop_s: float
    """Time of the last frame."""

    @property
    def n_frames(self) -> int:
        """How many frames it has."""
        return self.stop - self.start

    @property
    def duration_s(self) -> float:
        """From its first frame to its last."""
        return self.stop_s - self.start_s


def find_stretches(
    timestamps_s: Float64[np.ndarray, "t"],
    segments: Int32[np.ndarray, "t"],
    runs: list[tuple[float, float]],
) -> tuple[Stretch, ...]:
    """The unbroken stretches of a recording, in order.

    segments: number of the unbroken stretch of one face in each frame; `NO_SEGMENT` without one.
    runs: first and last times in seconds between which the label has no gap.
    A stretch ends where the face does, where `MAX_GAP_S` passes without a frame, and where a run of
    the label ends; a frame up to `EDGE_S` outside of a run still belongs to it.
    """
    if timestamps_s.shape[0] == 0:
        return ()
    run_of_frame = np.full(timestamps_s.shape[0], -1)
    for number, (first_s, last_s) in enumerate(runs):
        inside = (timestamps_s >= first_s - EDGE_S) & (timestamps_s <= last_s + EDGE_S)
        run_of_frame[inside] = number
    gaps = np.diff(timestamps_s) > MAX_GAP_S
    broken = (np.diff(segments) != 0) | (np.diff(run_of_frame) != 0) | gaps
    borders = [0, *(np.flatnonzero(broken) + 1).tolist(), timestamps_s.shape[0]]
    usable = (segments != NO_SEGMENT) & (run_of_frame >= 0)
    return tuple(
        Stretch(start, stop, float(timestamps_s[start]), float(timestamps_s[stop - 1]))
        for start, stop in itertools.pairwise(borders)
        if usable[start]
    )


@dataclass(frozen=True)
class UsableRecording:
    """What is known of a recording before any window of it is read."""

    store: str
    """Path or address of its store."""
    name: str
    """Its name there."""
    dataset: str
    """Data set it comes from."""
    subject: str
    """The person."""
    fps: float
    """Its frame rate in Hz, by the mean interval."""
    stretches: tuple[Stretch, ...]
    """Its unbroken stretches of two frames or more; may be none."""

    @property
    def place(self) -> str:
        """Store and recording, for errors."""
        return f"{self.store}/{self.name}"


@dataclass(frozen=True)
class WindowTable:
    """All that windows can come from. Small, and can be pickled."""

    recordings: tuple[UsableRecording, ...]
    """In the order of the sources, and in natural order within each."""
    size_px: int
    """Side of every crop."""
    left_out: tuple[str, ...]
    """What was asked for and is not there; one sentence each."""
    unusable: tuple[str, ...] = ()
    """Recordings that cannot be read; one sentence each."""


def window_table(sources: Sequence[WindowSource]) -> WindowTable:
    """Reads the times, segments and labels of all recordings once.

    A recording that cannot be used, whatever is wrong with it, is left out.
    Raises InputError for a store without recordings, where none can be used, and for stores of
    crops of different sizes.
    """
    recordings: list[UsableRecording] = []
    left_out: list[str] = []
    unusable: list[str] = []
    first: StoredRecording | None = None
    for source in sources:
        usable = _usable_ones(source, left_out, unusable)
        if usable:
            first = first or usable[0][0]
            _check_sizes(first, usable[0][0])
        recordings += [one for _, one in usable]
    if first is None and unusable:
        raise InputError(unusable[0])
    if first is None:
        raise InputError("no store was given to take windows from; name one made by physkit prep")
    told = tuple(dict.fromkeys(unusable))
    return WindowTable(tuple(recordings), first.size_px, tuple(left_out), told)


def _usable_ones(
    source: WindowSource, left_out: list[str], unusable: list[str]
) -> list[tuple[StoredRecording, UsableRecording]]:
    """The recordings of a source; adds to `left_out` the people whom the store lacks."""
    usable = []
    for stored in _selected(source, left_out, unusable):
        try:
            usable.append((stored, _usable(source.store, stored)))
        except Exception as error:  # noqa: BLE001 (told as left out: the others must go on)
            unusable.append(_told(stored.place, error))
    sizes = Counter(stored.size_px for stored, _ in usable)
    usual = max(sizes, key=sizes.__getitem__, default=0)
    unusable += [
        f"{stored.place}: crops of {stored.size_px} px, but most of the store have {usual} px; "
        f"prepare it anew with --size {usual}"
        for stored, _ in usable
        if stored.size_px != usual
    ]
    return [(stored, one) for stored, one in usable if stored.size_px == usual]


def _told(place: str, error: Exception) -> str:
    """Why a recording is left out, with its place."""
    cause = cause_of(error)
    return cause if cause.startswith(place) else f"{place}: {cause}"


def _selected(
    source: WindowSource, left_out: list[str], unusable: list[str]
) -> list[StoredRecording]:
    """The recordings of some people that say whose they are."""
    store = open_store(source.store)
    if not store:
        raise InputError(f"{source.store}: holds no recordings; rerun physkit prep")
    cause = "only a part of it is there; run physkit prep again, or copy it anew"
    unusable += [f"{store.path}/{name}: {cause}" for name in store.partial]
    whose: dict[str, list[StoredRecording]] = {}
    for name in store.names:
        try:
            recording = store[name]
            whose.setdefault(recording.subject, []).append(recording)
        except InputError as error:
            unusable.append(str(error))
    subjects = tuple(whose) if source.subjects is None else source.subjects
    missing = [subject for subject in subjects if subject not in whose]
    if len(missing) == len(subjects) and whose:
        raise InputError(
            f"{source.store}: holds none of the subjects {', '.join(missing) or '(none named)'}; "
            f"it has {', '.join(sorted(whose, key=natural_order))}"
        )
    left_out += [f"{source.store}: subject '{subject}' is not in it" for subject in missing]
    wanted = (recording for s in set(subjects) & set(whose) for recording in whose[s])
    return sorted(wanted, key=lambda recording: natural_order(recording.name))


def _check_sizes(first: StoredRecording, other: StoredRecording) -> None:
    if other.size_px != first.size_px:
        raise InputError(
            f"{other.place}: crops of {other.size_px} px, but those of {first.place} have "
            f"{first.size_px} px; prepare both with one --size"
        )


def _usable(store: str, stored: StoredRecording) -> UsableRecording:
    timestamps_s = stored.timestamps_s
    if not (np.isfinite(timestamps_s).all() and (np.diff(timestamps_s) > 0).all()):
        raise InputError(f"{stored.place}: the frames' times do not increase; see physkit audit")
    runs = label_runs(clean_label(stored.pulse, place=stored.place))
    stretches = find_stretches(timestamps_s, stored.segments, runs)
    return UsableRecording(
        store=store,
        name=stored.name,
        dataset=stored.dataset,
        subject=stored.subject,
        fps=mean_fps(timestamps_s),
        stretches=tuple(stretch for stretch in stretches if stretch.n_frames > 1),
    )


class OpenRecording:
    """A recording's small arrays in memory, its frames on disk.

    fps: rate at which the label will be sampled.
    """

    def __init__(self, stored: StoredRecording, *, fps: float) -> None:
        self.stored = stored
        self.timestamps_s: Float64[np.ndarray, "t"] = stored.timestamps_s
        pulse = stored.pulse
        self.label = LabelClock(label_for_rate(clean_label(pulse, place=stored.place), fps=fps))
        """The label, without what would fold back at that rate."""
        arrays = (self.timestamps_s, pulse.samples, pulse.timestamps_s)
        self.n_bytes = HANDLE_BYTES + self.label.n_bytes + sum(int(a.nbytes) for a in arrays)
        """Memory it holds."""


class OpenRecordings:
    """Recordings held open, the least recently used closed beyond `CACHE_BYTES`.

    Can be pickled and forked: what is open stays behind, and is opened anew when asked for.
    fps: rate at which labels will be sampled; None means each recording's own frame rate.
    """

    def __init__(self, *, fps: float | None) -> None:
        self._fps = fps
        self._forget()

    def __getitem__(self, recording: UsableRecording) -> OpenRecording:
        """The recording, opened. Raises InputError where it has gone or is damaged."""
        if self._process != os.getpid():
            self._forget()  # file systems on a network do not outlive a fork
        key = (recording.store, recording.name)
        if key in self._open:
            self._open.move_to_end(key)
            return self._open[key]
        if recording.store not in self._stores:
            self._stores[recording.store] = open_store(recording.store)
        stored = self._stores[recording.store][recording.name]
        opened = OpenRecording(stored, fps=self._fps or recording.fps)
        self._open[key] = opened
        self._n_bytes += opened.n_bytes
        while self._n_bytes > CACHE_BYTES and len(self._open) > 1:
            self._n_bytes -= self._open.popitem(last=False)[1].n_bytes
        return opened

    def __len__(self) -> int:
        """How many are open."""
        return len(self._open)

    def __getstate__(self) -> dict[str, float | None]:
        return {"fps": self._fps}

    def __setstate__(self, state: dict[str, float | None]) -> None:
        self._fps = state["fps"]
        self._forget()

    def _forget(self) -> None:
        self._process = os.getpid()
        self._stores: dict[str, Store] = {}
        self._open: OrderedDict[tuple[str, str], OpenRecording] = OrderedDict()
        self._n_bytes = 0
