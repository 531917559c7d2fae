"""BUAA-MIHR. Xi et al. 2020."""

import re
from pathlib import Path

import numpy as np
import scipy.io

from physkit.core.errors import InputError
from physkit.core.files import visible
from physkit.data.formats.avi import write_avi
from physkit.data.formats.labels import REPAIR, make_label
from physkit.data.formats.mat import open_mat
from physkit.data.formats.matlab import MatFile
from physkit.data.formats.writing import check_session, sensor_times_s, whole_recording
from physkit.data.readers.base import Layout, NewRecording, Reader
from physkit.data.recording import Label, Recording
from physkit.media.frames import FrameSource
from physkit.media.video import VideoFile

SUBJECT = re.compile(r"sub ?\d+", re.IGNORECASE)
LIGHT = re.compile(r"lux ?\d+(\.\d+)?", re.IGNORECASE)
VIDEO, LABEL, TABLE = ".avi", ".mat", ".csv"

LUX = (100.0, 63.1, 39.8, 25.1, 15.8, 10.0, 6.3, 4.0, 2.5, 1.6, 1.0)
"""Light of written sessions 0 to 10: the published levels, the brightest first."""
LABEL_RATE_HZ = 60.0
"""As the published files state it; they are read by what each states."""
RATES_HZ = (5.0, 2000.0)
"""What can be the rate of a pulse oximeter."""

PHYSLLM_SKIPS_SUBJECT = 4
PHYSLLM_SKIPS_BELOW_LUX = 10.0


class BuaaMihrReader(Reader):
    """A video at the rate of its AVI, and a label that starts with it and states its rate.

    The condition `lux` is the light; `skipped_by_physllm` marks what the published PhysLLM leaves
    out: one person, and all light below 10 lux.
    """

    name = "buaa-mihr"
    title = "BUAA-MIHR"
    tree = "Sub NN/lux X.X/ with an .avi and a .mat each"
    layout = Layout(width=640, height=480, fps=30.0, keeps_times=False)

    def _find(self, root: Path) -> list[Recording]:
        subjects = (child for child in visible(root) if SUBJECT.fullmatch(child.name))
        return [
            _recording(root, subject.name, light.name, _files(light))
            for subject in subjects
            if subject.is_dir()
            for light in visible(subject)
            if LIGHT.fullmatch(light.name) and light.is_dir()
        ]

    def open_frames(self, recording: Recording) -> FrameSource:
        """The video at its own rate. Raises InputError when it is missing or damaged."""
        return VideoFile(_only(recording, VIDEO))

    def read_label(self, recording: Recording) -> Label:
        """The contact pulse. Raises InputError when it is missing, empty or damaged."""
        path = _only(recording, LABEL)
        with open_mat(path) as mat:
            pulse = mat.signal("PPG.data")
            rate_hz = _stated_rate_hz(mat)
        warnings = []
        if rate_hz is None:
            duration_s = _duration_s(_only(recording, VIDEO))
            rate_hz = len(pulse) / duration_s
            warnings.append(
                f"{path.name}: states no rate in PPG.fs; {len(pulse)} samples in the video's "
                f"{duration_s:.2f} s were taken for {rate_hz:.2f} Hz"
            )
        return make_label(path, np.arange(len(pulse)) / rate_hz, pulse, {}, tuple(warnings))

    def write(self, root: Path, recording: NewRecording) -> Recording:
        """Writes one of the eleven sessions of a person, 0 to 10.

        The light is that of the condition `lux`, or the session's: 100 lux in session 0.
        """
        check_session(self.title, recording, len(LUX))
        lux = float(recording.conditions.get("lux", LUX[recording.session]))
        subject, light = f"Sub {recording.subject:02d}", f"lux {lux:.1f}"
        names = (f"lux{lux:.1f}_SYN{VIDEO}", f"PPGData{LABEL}")
        new = _recording(root, subject, light, names)
        with whole_recording(root, new.name, new.files) as folder:
            times_s = write_avi(
                folder / new.files[0],
                recording.frames,
                size_px=(recording.width, recording.height),
                fps=recording.fps,
                codec="rawvideo",
            )
            label_s = sensor_times_s(float(times_s[-1]), LABEL_RATE_HZ)
            pulse = recording.measure(label_s)["pulse"]
            variables = {"PPG": {"data": pulse[:, None], "fs": LABEL_RATE_HZ}}
            scipy.io.savemat(folder / new.files[1], variables)
        return new


def _files(folder: Path) -> tuple[str, ...]:
    """What a recording is made of: videos and tables of the oximeter, then the label."""
    names = [file.name for file in visible(folder)]
    return tuple(name for kind in (VIDEO, TABLE, LABEL) for name in names if name.endswith(kind))


def _recording(root: Path, subject: str, light: str, files: tuple[str, ...]) -> Recording:
    person, level = subject[3:].strip(), light[3:].strip()
    skipped = int(person) == PHYSLLM_SKIPS_SUBJECT or float(level) < PHYSLLM_SKIPS_BELOW_LUX
    return Recording(
        dataset="buaa-mihr",
        name=f"sub{person}_lux{level}",
        subject=person,
        session=f"lux{level}",
        root=root,
        files=tuple(f"{subject}/{light}/{file}" for file in files),
        conditions={"lux": float(level), "skipped_by_physllm": skipped},
    )


def _only(recording: Recording, kind: str) -> Path:
    """The one file of a kind. Raises InputError where there is none, or more."""
    files = [file for file in recording.files if file.endswith(kind)]
    if len(files) == 1:
        return recording.path(files[0])
    if not files:
        raise InputError(f"{recording.root}: {recording.name} has no {kind} file; {REPAIR}")
    names = ", ".join(Path(file).name for file in files)
    raise InputError(f"{recording.path(files[0]).parent}: {names}; leave one {kind} file there")


def _stated_rate_hz(mat: MatFile) -> float | None:
    """The rate of the label; None where the file states none that can be."""
    try:
        rate = mat.get("PPG.fs")
        rate_hz = float(rate if isinstance(rate, str) else np.ravel(rate).item())  # type: ignore[arg-type]
    except (InputError, ValueError, TypeError):
        return None
    return rate_hz if RATES_HZ[0] <= rate_hz <= RATES_HZ[1] else None


def _duration_s(video: Path) -> float:
    """Length of a video as it states it. Raises InputError where it does not."""
    with VideoFile(video) as source:
        if source.n_frames is None or not source.fps > 0:
            raise InputError(f"{video}: states no length; {REPAIR}")
        return source.n_frames / source.fps
