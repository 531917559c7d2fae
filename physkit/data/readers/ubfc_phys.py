"""UBFC-Phys. Sabour et al. 2021."""

import re
from importlib import resources
from pathlib import Path

import numpy as np

from physkit.core.errors import InputError
from physkit.core.files import visible
from physkit.data.formats.avi import write_avi
from physkit.data.formats.labels import REPAIR, make_label, numbers, read_lines
from physkit.data.formats.table import number_rows, shown
from physkit.data.formats.writing import check_session, sensor_times_s, whole_recording
from physkit.data.readers.base import Layout, NewRecording, Reader
from physkit.data.recording import Label, Recording
from physkit.media.frames import FrameSource
from physkit.media.video import VideoFile

TASKS = {"T1": "rest", "T2": "speech", "T3": "arithmetic"}
"""What the person does."""

FOLDER = re.compile(r"s\d+")
LABEL_RATE_HZ = 64.0
EXCLUDED = "ubfc_phys_excluded.txt"


class UbfcPhysReader(Reader):
    """A video at the rate of its AVI, and a label of 64 Hz that starts with it.

    Recordings that rPPG-Toolbox leaves out are kept, and marked in `excluded_by_toolbox`.
    """

    name = "ubfc-phys"
    title = "UBFC-Phys"
    tree = "sN/vid_sN_Tk.avi and sN/bvp_sN_Tk.csv"
    layout = Layout(width=1024, height=1024, fps=35.0, keeps_times=False)

    def _find(self, root: Path) -> list[Recording]:
        excluded = excluded_by_toolbox()
        recordings = []
        for folder in visible(root):
            if not (FOLDER.fullmatch(folder.name) and folder.is_dir()):
                continue
            there = frozenset(file.name for file in visible(folder))
            for task in TASKS:
                recording = _recording(root, folder.name, task, there, excluded)
                if not there.isdisjoint(Path(file).name for file in recording.files[:2]):
                    recordings.append(recording)
        return recordings

    def open_frames(self, recording: Recording) -> FrameSource:
        """The video at its own rate. Raises InputError when it is missing or damaged."""
        return VideoFile(recording.path(recording.files[0]))

    def read_label(self, recording: Recording) -> Label:
        """The wristband's pulse. Raises InputError when it is missing, empty or damaged."""
        path = recording.path(recording.files[1])
        lines = read_lines(path)
        rows = number_rows(path, lines)
        for row, line in zip(rows, lines, strict=True):
            if len(row) != 1:
                raise InputError(
                    f"{path}: pulse is not made of numbers, one a line: {shown(line)}; {REPAIR}"
                )
        pulse = numbers(path, (row[0] for row in rows), "pulse")
        return make_label(path, np.arange(len(pulse)) / LABEL_RATE_HZ, pulse, {})

    def write(self, root: Path, recording: NewRecording) -> Recording:
        """Writes one of the three tasks of a person, session 0 to 2."""
        check_session(self.title, recording, len(TASKS))
        task = list(TASKS)[recording.session]
        excluded = excluded_by_toolbox()
        new = _recording(root, f"s{recording.subject}", task, frozenset(), excluded)
        with whole_recording(root, new.name, new.files) as folder:
            write_avi(
                folder / new.files[0],
                recording.frames,
                size_px=(recording.width, recording.height),
                fps=recording.fps,
                codec="mjpeg",
            )
            times_s = sensor_times_s(recording.duration_s, LABEL_RATE_HZ)
            lines = [f"{pulse:.9e}\n" for pulse in recording.measure(times_s)["pulse"]]
            (folder / new.files[1]).write_text("".join(lines), encoding="ascii")
        return new


def excluded_by_toolbox() -> frozenset[str]:
    """Names of the 67 recordings that rPPG-Toolbox leaves out."""
    text = resources.files("physkit.data.readers").joinpath(EXCLUDED).read_text("utf-8")
    return frozenset(line for line in text.splitlines() if not line.startswith("#"))


def _recording(
    root: Path, subject: str, task: str, there: frozenset[str], excluded: frozenset[str]
) -> Recording:
    """there: names in the person's folder, for what lies beside video and pulse: the skin's
    conductance of the task, and what was noted of the person."""
    name = f"{subject}_{task}"
    companions = (f"eda_{name}.csv", f"info_{subject}.txt", f"selfReportedAnx_{subject}.csv")
    files = (
        f"vid_{name}.avi",
        f"bvp_{name}.csv",
        *(companion for companion in companions if companion in there),
    )
    return Recording(
        dataset="ubfc-phys",
        name=name,
        subject=subject,
        session=task,
        root=root,
        files=tuple(f"{subject}/{file}" for file in files),
        conditions={"task": TASKS[task], "excluded_by_toolbox": name in excluded},
    )
