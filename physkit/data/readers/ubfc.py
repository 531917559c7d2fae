"""UBFC-rPPG, both sets. Bobbia et al. 2017."""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float

from physkit.core.errors import InputError
from physkit.core.files import visible
from physkit.data.formats.avi import n_pictures, write_avi
from physkit.data.formats.labels import (
    REPAIR,
    later_ones,
    make_label,
    numbers,
    numbers_beside,
    read_lines,
)
from physkit.data.formats.table import cells, number_rows, separator_of, shown
from physkit.data.formats.writing import (
    check_session,
    noting_times,
    sensor_times_s,
    whole_recording,
)
from physkit.data.readers.base import Layout, NewRecording, Reader
from physkit.data.recording import SAFE_NAME, Label, Recording
from physkit.media.frames import Frame, FrameSource
from physkit.media.video import VideoFile

MAX_UNPAIRED_S = 1.0
"""How much longer than the other the video or its label may be."""

SET_2_FOLDER = re.compile(r"subject(\d+)")
VIDEO = re.compile(r"vid.*\.avi")
SET_1_FOLDER = re.compile(r"(\d+)-gt|after-exercise")
SET_1_RATE_HZ = 62.0


class UbfcReader(Reader):
    """Set 2: the label has one value for each frame of the video, with the frame's time.

    The AVI states a nominal rate only. Frames and samples are paired in order; where there are
    more of one, the rest has no pair and is left out.
    """

    name = "ubfc"
    title = "UBFC-rPPG set 2"
    tree = "subjectN/vid.avi and subjectN/ground_truth.txt"
    layout = Layout(width=640, height=480, fps=30.0, keeps_times=True)

    def _find(self, root: Path) -> list[Recording]:
        folders = (child for child in visible(root) if SET_2_FOLDER.fullmatch(child.name))
        return [_set_2_recording(root, folder.name) for folder in folders if folder.is_dir()]

    def open_frames(self, recording: Recording) -> FrameSource:
        """The video at the label's times. Raises InputError when either is missing or damaged,
        and while iterating, when they differ by more than a second."""
        path = recording.path(recording.files[1])
        times_s, _, _ = _read_ground_truth(path, [])
        later = later_ones(path, times_s)
        fps = (len(times_s) - 1) / float(np.nanmax(times_s))
        # The rate serves a video without times; of any video the times are replaced.
        video = VideoFile(recording.path(recording.files[0]), fps=fps)
        return _PairedVideo(video, times_s, later, path, fps=fps)

    def read_label(self, recording: Recording) -> Label:
        """The contact pulse at the times of the frames. Raises InputError when it is damaged."""
        video, path = (recording.path(file) for file in recording.files)
        warnings: list[str] = []
        times_s, pulse, heart_rate_bpm = _read_ground_truth(path, warnings)
        n_frames = n_pictures(video)
        if n_frames is not None and n_frames != len(times_s):
            warnings.append(_counts(video, n_frames, path, len(times_s)))
        columns = {"heart_rate_bpm": heart_rate_bpm}
        return make_label(path, times_s, pulse, columns, tuple(warnings))

    def write(self, root: Path, recording: NewRecording) -> Recording:
        """Writes `subjectN`; the layout has one session for each person."""
        check_session(self.title, recording, 1)
        new = _set_2_recording(root, f"subject{recording.subject}")
        with whole_recording(root, new.name, new.files) as folder:
            times_s: list[float] = []
            write_avi(
                folder / new.files[0],
                noting_times(recording.frames, times_s),
                size_px=(recording.width, recording.height),
                fps=recording.fps,
                codec="rawvideo",
            )
            stated = [f"{time_s:.9e}" for time_s in times_s]
            shown = recording.measure(np.array(stated, dtype=np.float64))
            lines = [
                " ".join(f"{value:.9e}" for value in shown["pulse"]),
                " ".join(f"{value:.9e}" for value in shown["heart_rate_bpm"]),
                " ".join(stated),
            ]
            (folder / new.files[1]).write_text("\n".join(lines) + "\n", encoding="ascii")
        return new


class UbfcSet1Reader(Reader):
    """Set 1: the label has milliseconds of its own; the video has the rate of its AVI."""

    name = "ubfc-set1"
    title = "UBFC-rPPG set 1"
    tree = "N-gt/vid.avi and N-gt/gtdump.xmp"
    layout = Layout(width=640, height=480, fps=28.7, keeps_times=False)

    def _find(self, root: Path) -> list[Recording]:
        return [
            _set_1_recording(root, folder.name, _set_1_video(folder))
            for folder in visible(root)
            if folder.is_dir() and _is_set_1(folder)
        ]

    def open_frames(self, recording: Recording) -> FrameSource:
        """The video at its own rate. Raises InputError when it is missing or damaged."""
        return VideoFile(recording.path(recording.files[0]))

    def read_label(self, recording: Recording) -> Label:
        """The contact pulse. Raises InputError when it is missing, empty or damaged."""
        path = recording.path(recording.files[1])
        lines = read_lines(path)
        rows = [cells(line, separator_of(line)) for line in lines]
        for row, line in zip(rows, lines, strict=True):
            if len(row) != 4:
                raise InputError(
                    f"{path}: {shown(line)}: not four numbers in every line (milliseconds, heart "
                    f"rate, SpO2, pulse); {REPAIR}"
                )
        times, heart_rate, spo2, samples = zip(*rows, strict=True)
        times_ms, pulse = numbers(path, times, "time"), numbers(path, samples, "pulse")
        warnings: list[str] = []
        columns = {
            "heart_rate_bpm": numbers_beside(path, heart_rate, "heart rate", warnings),
            "spo2_percent": numbers_beside(path, spo2, "SpO2", warnings),
        }
        return make_label(path, times_ms / 1000.0, pulse, columns, tuple(warnings))

    def write(self, root: Path, recording: NewRecording) -> Recording:
        """Writes `N-gt`; the layout has one session for each person."""
        check_session(self.title, recording, 1)
        new = _set_1_recording(root, f"{recording.subject}-gt", "vid.avi")
        with whole_recording(root, new.name, new.files) as folder:
            write_avi(
                folder / new.files[0],
                recording.frames,
                size_px=(recording.width, recording.height),
                fps=recording.fps,
                codec="rawvideo",
            )
            times_ms = np.round(1000 * sensor_times_s(recording.duration_s, SET_1_RATE_HZ))
            shown = recording.measure(times_ms / 1000.0)
            rows = zip(
                times_ms,
                shown["heart_rate_bpm"],
                shown["spo2_percent"],
                shown["pulse"],
                strict=True,
            )
            lines = [
                f"{ms:.0f},{bpm:.3f},{spo2:.3f},{pulse:.9e}\n" for ms, bpm, spo2, pulse in rows
            ]
            (folder / new.files[1]).write_text("".join(lines), encoding="ascii")
        return new


class _PairedVideo(FrameSource):
    """Frames of a video at the times that its label gives them, in order.

    A frame whose time is not later than all before is dropped, as its sample is.
    """

    def __init__(
        self,
        video: VideoFile,
        times_s: Float[np.ndarray, "t"],
        later: Bool[np.ndarray, "t"],
        label: Path,
        *,
        fps: float,
    ) -> None:
        self._video, self._label = video, label
        self._times_s, self._later = times_s, later
        super().__init__(name=video.name, fps=fps, n_frames=int(np.count_nonzero(later)))
        self.damage = video.damage

    def close(self) -> None:
        """Closes the video."""
        self._video.close()

    def _read(self) -> Iterator[Frame]:
        n_frames = 0
        self._video.decode_threads = self.decode_threads
        for index, frame in enumerate(self._video):
            n_frames = index + 1
            if index < len(self._times_s) and self._later[index]:
                yield Frame(frame.picture, float(self._times_s[index]))
        n_samples = len(self._times_s)
        if abs(n_frames - n_samples) > MAX_UNPAIRED_S * self.fps:
            counts = _counts(Path(self.name), n_frames, self._label, n_samples)
            raise InputError(f"{self.name}: {counts}; {REPAIR}")


def _counts(video: Path, n_frames: int | None, label: Path, n_samples: int) -> str:
    return f"{video.name} holds {n_frames} frames and {label.name} {n_samples} samples"


def _read_ground_truth(
    path: Path, warnings: list[str]
) -> tuple[Float[np.ndarray, "t"], Float[np.ndarray, "t"], Float[np.ndarray, "t"]]:
    """Times in seconds since the first frame, pulse and heart rate in bpm of `ground_truth.txt`.

    A heart rate that is no number adds to `warnings`.
    Raises InputError where it is missing or does not hold these three lines.
    """
    lines = read_lines(path)
    if len(lines) != 3:
        raise InputError(
            f"{path}: {len(lines)} lines and not three (pulse, heart rate, time); {REPAIR}"
        )
    rows = number_rows(path, lines)
    pulse, times_s = (numbers(path, rows[i - 1], f"line {i}") for i in (1, 3))
    heart_rate_bpm = numbers_beside(path, rows[1], "line 2", warnings)
    if not len(pulse) == len(heart_rate_bpm) == len(times_s):
        raise InputError(
            f"{path}: {len(pulse)}, {len(heart_rate_bpm)} and {len(times_s)} numbers in its "
            f"lines, which should be as many; {REPAIR}"
        )
    first_s = times_s[np.isfinite(times_s)][:1]
    return times_s - first_s, pulse, heart_rate_bpm


def _set_2_recording(root: Path, name: str) -> Recording:
    return Recording(
        dataset="ubfc",
        name=name,
        subject=name.removeprefix("subject"),
        session="1",
        root=root,
        files=(f"{name}/vid.avi", f"{name}/ground_truth.txt"),
    )


def _is_set_1(folder: Path) -> bool:
    if SET_1_FOLDER.fullmatch(folder.name):
        return True
    return bool(SAFE_NAME.fullmatch(folder.name)) and (folder / "gtdump.xmp").exists()


def _set_1_video(folder: Path) -> str:
    """Name of the video: some are called `vid-12.avi` or the like."""
    videos = [file.name for file in visible(folder) if VIDEO.fullmatch(file.name)]
    return videos[0] if videos and "vid.avi" not in videos else "vid.avi"


def _set_1_recording(root: Path, name: str, video: str) -> Recording:
    return Recording(
        dataset="ubfc-set1",
        name=name,
        subject=name.removesuffix("-gt"),
        session="1",
        root=root,
        files=(f"{name}/{video}", f"{name}/gtdump.xmp"),
    )
