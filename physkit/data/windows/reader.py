"""One window of one recording: its frames from disk, and its label at their times."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float32, Float64, Int, UInt8

from physkit.core.errors import InputError
from physkit.core.units import frame_durations_s
from physkit.data.extras import ReadExtra, read_extra
from physkit.data.windows.augment import Look, apply_look
from physkit.data.windows.config import ContentConfig, LabelForm
from physkit.data.windows.forms import frames_in_form, label_in_form
from physkit.data.windows.table import OpenRecording, OpenRecordings, Stretch, UsableRecording

LATE_S = 0.02
"""How long after the last frame a window on a uniform clock may end; that frame is held. So 1600
frames whose clock is a little fast are still 1600 at their nominal rate."""
ROUNDING_S = 1e-6
"""Times closer than this are equal."""
ON_FRAME = 1e-3
"""Moments nearer to a frame than this share of an interval are that frame's."""


@dataclass(frozen=True, eq=False)
class Window:
    """A stretch of one recording, ready for a model."""

    frames: UInt8[np.ndarray, "t h w 3"] | Float32[np.ndarray, "t h w 3"]
    """RGB crops in the form that was asked for."""
    pulse: Float32[np.ndarray, "t"]
    """The label at the frames' times, in its form."""
    dt_s: Float32[np.ndarray, "t"]
    """Seconds since the frame before, which may lie before the window; the first frame of a stretch
    lasts like its second."""
    timestamps_s: Float64[np.ndarray, "t"]
    """Time of each frame in the recording; of a time-scaled window, as if it were not scaled."""
    store: str
    """Path or address of the store."""
    dataset: str
    """Data set the recording comes from."""
    recording: str
    """Name of the recording."""
    subject: str
    """The person."""
    start_s: float
    """Time of the first frame in the recording."""
    time_scale: float
    """Seconds of the recording that a second of the window takes."""
    heart_rate_bpm: float
    """Heart rate of the label, as the window plays it; NaN where it shows none."""
    extras: Mapping[str, np.ndarray] = field(default_factory=dict)
    """What else was asked for, by name: (t ...), of the frame that is nearest."""


@dataclass(frozen=True)
class Place:
    """Which frames of which recording."""

    recording: UsableRecording
    """The recording."""
    stretch: Stretch
    """The unbroken stretch that the window stays within."""
    start: int
    """Frame of the recording it begins at."""
    n_frames: int
    """How many frames the window has."""


class WindowReader:
    """Reads windows of one content. Can be pickled and forked.

    Holds the times and labels of recordings used lately: see `OpenRecordings`.
    extras: what windows hold beside frames, by name.
    """

    def __init__(
        self, content: ContentConfig, extras: Mapping[str, ReadExtra] | None = None
    ) -> None:
        self.content = content
        self.extras = extras or {}
        self._recordings = OpenRecordings(fps=content.fps)

    def rate(self, recording: UsableRecording) -> float:
        """Frames a second of that recording's windows."""
        return self.content.fps or recording.fps

    def room(self, stretch: Stretch) -> int:
        """Frames of the longest window that fits into a stretch."""
        if self.content.fps is None:
            return stretch.n_frames
        return math.floor((stretch.duration_s + LATE_S) * self.content.fps) + 1

    def spare_s(self, stretch: Stretch, *, n_frames: int) -> float:
        """Time in a stretch with room from the first to about the last start of such windows."""
        if self.content.fps is None:
            return stretch.duration_s * (stretch.n_frames - n_frames) / max(stretch.n_frames - 1, 1)
        return stretch.duration_s + LATE_S - (n_frames - 1) / self.content.fps

    def starts(
        self,
        recording: UsableRecording,
        stretch: Stretch,
        *,
        n_frames: int,
        time_scale: float = 1.0,
    ) -> Int[np.ndarray, "starts"]:
        """Frames at which a window can begin without leaving the stretch, in order.

        Not empty where the stretch has room, and `time_scale` is at most the longest.
        """
        times_s = self.timestamps_s(recording)[stretch.start : stretch.stop]
        spans_s = self._spans_s(times_s, n_frames)
        late_s = ROUNDING_S + (0.0 if self.content.fps is None else LATE_S)
        fits = times_s[: spans_s.shape[0]] + time_scale * spans_s <= times_s[-1] + late_s
        return stretch.start + np.flatnonzero(fits)

    def longest_time_scale(
        self, recording: UsableRecording, stretch: Stretch, *, n_frames: int
    ) -> float:
        """The largest time scale for which a stretch with room has room too."""
        times_s = self.timestamps_s(recording)[stretch.start : stretch.stop]
        span_s = float(self._spans_s(times_s, n_frames)[0])
        return max(1.0, stretch.duration_s / span_s) if span_s > 0 else 1.0

    def first_start(
        self, recording: UsableRecording, stretch: Stretch, *, from_s: float, n_frames: int
    ) -> int:
        """The first frame at or after a time at which a window can begin, or the last that can."""
        starts = self.starts(recording, stretch, n_frames=n_frames)
        times_s = self.timestamps_s(recording)[starts]
        number = int(np.searchsorted(times_s, from_s - ROUNDING_S))
        return int(starts[min(number, len(starts) - 1)])

    def timestamps_s(self, recording: UsableRecording) -> Float64[np.ndarray, "t"]:
        """Times of all frames of a recording."""
        return self._recordings[recording].timestamps_s

    def heart_rate_bpm(self, place: Place, *, time_scale: float = 1.0) -> float:
        """Heart rate of the label there, as a window of that time scale plays it; NaN for none."""
        at_s = _moments(self._clock(place), time_scale)
        label = self._recordings[place.recording].label
        return time_scale * label.heart_rate_bpm(start_s=float(at_s[0]), stop_s=float(at_s[-1]))

    def read(self, place: Place, *, time_scale: float = 1.0, look: Look | None = None) -> Window:
        """The window there; only the chunks that hold its frames are read.

        Scaled in time, its frames are interpolated linearly between neighbours, its label by the
        spline, and its clock stays as it is.
        Raises InputError for a label that is flat throughout the window, or a damaged recording.
        """
        opened, recording = self._recordings[place.recording], place.recording
        clock_s = self._clock(place)
        at_s = _moments(clock_s, time_scale)
        pulse = label_in_form(opened.label.at(at_s), self._label_form)
        if pulse is None:
            raise InputError(
                f"{recording.place}: the label is flat from {at_s[0]:.1f} to {at_s[-1]:.1f} s; "
                "take longer windows or remove the recording"
            )
        frames = self._frames(opened, place, at_s, time_scale)
        shown = frames if look is None else apply_look(frames, look)
        return Window(
            frames=frames_in_form(shown, self.content.form),
            pulse=pulse,
            dt_s=self._dt_s(opened, place, clock_s),
            timestamps_s=clock_s,
            store=recording.store,
            dataset=recording.dataset,
            recording=recording.name,
            subject=recording.subject,
            start_s=float(clock_s[0]),
            time_scale=time_scale,
            heart_rate_bpm=self.heart_rate_bpm(place, time_scale=time_scale),
            extras=self._extras(opened, place, at_s),
        )

    @property
    def _label_form(self) -> LabelForm:
        counterpart: LabelForm = "diff" if self.content.form == "diff" else "standardised"
        return self.content.label_form or counterpart

    def _clock(self, place: Place) -> Float64[np.ndarray, "t"]:
        """Times of the window's frames."""
        times_s = self.timestamps_s(place.recording)
        if self.content.fps is None:
            return times_s[place.start : place.start + place.n_frames]
        return np.asarray(times_s[place.start] + np.arange(place.n_frames) / self.content.fps)

    def _spans_s(
        self, times_s: Float64[np.ndarray, "t"], n_frames: int
    ) -> Float64[np.ndarray, "starts"]:
        """Seconds from the first to the last frame of a window that begins at each of these."""
        if self.content.fps is None:
            lasts_s = times_s[n_frames - 1 :]
            return np.asarray(lasts_s - times_s[: lasts_s.shape[0]])
        return np.full(times_s.shape[0], (n_frames - 1) / self.content.fps)

    def _frames(
        self,
        opened: OpenRecording,
        place: Place,
        at_s: Float64[np.ndarray, "t"],
        time_scale: float,
    ) -> UInt8[np.ndarray, "t h w 3"] | Float32[np.ndarray, "t h w 3"]:
        """Frames of grey levels 0 to 255 at these times."""
        if self.content.clock == "native" and time_scale == 1:
            return opened.stored.frames(place.start, place.start + place.n_frames)
        times_s = opened.timestamps_s[place.start : place.stretch.stop]
        position = np.interp(at_s, times_s, np.arange(times_s.shape[0]))
        nearest = np.rint(position)
        if (self.content.clock == "nearest" and time_scale == 1) or bool(
            (np.abs(position - nearest) < ON_FRAME).all()
        ):
            position = nearest
        last = place.start + math.ceil(position[-1])
        return _between(opened.stored.frames(place.start, last + 1), position)

    def _extras(
        self, opened: OpenRecording, place: Place, at_s: Float64[np.ndarray, "t"]
    ) -> dict[str, np.ndarray]:
        if not self.extras:
            return {}
        times_s = opened.timestamps_s[place.start : place.stretch.stop]
        nearest = np.rint(np.interp(at_s, times_s, np.arange(times_s.shape[0]))).astype(np.intp)
        frames = slice(place.start, place.start + int(nearest[-1]) + 1)
        return {
            name: read_extra(name, read, opened.stored, frames)[nearest]
            for name, read in self.extras.items()
        }

    def _dt_s(
        self, opened: OpenRecording, place: Place, clock_s: Float64[np.ndarray, "t"]
    ) -> Float32[np.ndarray, "t"]:
        before_s = None
        if self.content.fps is None and place.start > place.stretch.start:
            before_s = float(opened.timestamps_s[place.start - 1])
        return frame_durations_s(clock_s, before_s=before_s)[0].astype(np.float32)


def _moments(clock_s: Float64[np.ndarray, "t"], time_scale: float) -> Float64[np.ndarray, "t"]:
    """Times in the recording of what a window on that clock shows."""
    return clock_s if time_scale == 1 else clock_s[0] + time_scale * (clock_s - clock_s[0])


def _between(
    frames: UInt8[np.ndarray, "n h w 3"], position: Float64[np.ndarray, "t"]
) -> UInt8[np.ndarray, "t h w 3"] | Float32[np.ndarray, "t h w 3"]:
    """Frames at positions between 0 and n - 1: as they are where all are whole, else mixed."""
    lower = position.astype(np.intp)
    share = (position - lower).astype(np.float32)
    if not share.any():
        return frames[lower]
    grey = frames.astype(np.float32)
    mixed, step = grey[lower], grey[np.ceil(position).astype(np.intp)]
    step -= mixed
    step *= share[:, None, None, None]
    mixed += step
    return mixed
