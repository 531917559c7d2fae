"""iBVP. Joshi and Cho 2024."""

import re
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Float, Float32

from physkit.core.errors import InputError
from physkit.core.files import missing, visible
from physkit.data.formats.labels import REPAIR, make_label, numbers, read_bytes, read_lines
from physkit.data.formats.table import cells, separator_of, shown
from physkit.data.formats.writing import check_rate, check_session, whole_recording
from physkit.data.readers.base import Layout, NewRecording, RawTree, Reader
from physkit.data.recording import Label, Recording
from physkit.media.frames import Frame, FrameSource
from physkit.media.images import ImageFolder, image_files

FOLDER = re.compile(r"p(\d+)_([a-d])")
FPS = 30.0
TASKS = {
    "a": "slow breathing and rest",
    "b": "easy mathematics",
    "c": "difficult mathematics",
    "d": "head movement",
}
"""What the person does in a session."""

PULSE = "bvp"
COLUMNS = {
    "sqphysmd": "signal_quality_physmd",
    "sq1": "signal_quality_1",
    "sq2": "signal_quality_2",
    "perfusion": "perfusion",
    "perfusion_value": "perfusion",
}
"""Column of the label to name in the file, in small letters."""
HEADER = "BVP,SQPhysMD,SQ1,SQ2,Perfusion"

THERMAL_SHAPE = (512, 640)
CELSIUS_PER_LEVEL, CELSIUS_AT_0 = 0.04, -273.15


class IbvpReader(Reader):
    """Images and a table with a line for each of them, at 30 Hz from the first image on.

    Quality marks are columns of the label; no frame is left out for them. Thermal images are not
    read, and are no part of a recording; `read_thermal` gives one.
    """

    name = "ibvp"
    title = "iBVP"
    tree = "pNN_x/pNN_x_rgb/*.bmp and pNN_x/pNN_x_bvp.csv"
    layout = Layout(width=640, height=480, fps=FPS, keeps_times=False)

    def find(self, root: Path) -> RawTree:
        """The recordings under a root; thermal images do not count as strays."""
        tree = super().find(root)
        strays = (
            file
            for file in tree.strays
            if not (file.suffix == ".raw" and file.parent.name == f"{file.parent.parent.name}_t")
        )
        return RawTree(tree.recordings, tuple(strays))

    def _find(self, root: Path) -> list[Recording]:
        folders = (child for child in visible(root) if FOLDER.fullmatch(child.name))
        return [_recording(root, folder.name) for folder in folders if folder.is_dir()]

    def open_frames(self, recording: Recording) -> FrameSource:
        """The images in order of their names. Raises InputError when there are none, and while
        iterating, for an image that cannot be read."""
        folder = recording.path(recording.files[0])
        if not folder.is_dir():
            raise missing(folder, f"no such folder of images; {REPAIR}")
        return ImageFolder(folder, fps=FPS)

    def read_label(self, recording: Recording) -> Label:
        """The contact pulse. Raises InputError when it is missing, empty or damaged."""
        folder, path = (recording.path(file) for file in recording.files)
        columns = _read_table(path)
        if PULSE not in columns:
            raise InputError(f"{path}: no column BVP in it, but {', '.join(columns)}; {REPAIR}")
        pulse = numbers(path, columns[PULSE], "BVP")
        marks = {
            COLUMNS[name]: _marks(path, values, name)
            for name, values in columns.items()
            if name in COLUMNS
        }
        n_images = len(image_files(folder)) if folder.is_dir() else len(pulse)
        warnings = []
        if n_images != len(pulse):
            warnings.append(f"{path.name}: {n_images} images and {len(pulse)} label samples")
        return make_label(path, np.arange(len(pulse)) / FPS, pulse, marks, tuple(warnings))

    def write(self, root: Path, recording: NewRecording) -> Recording:
        """Writes one of the four sessions of a person, 0 to 3 for a to d, at 30 frames/s.

        All is marked as of good quality, and its perfusion as unknown.
        """
        check_session(self.title, recording, len(TASKS))
        check_rate(self.title, recording, FPS)
        new = _recording(root, f"p{recording.subject:02d}_{list(TASKS)[recording.session]}")
        with whole_recording(root, new.name, new.files) as folder:
            n_frames = _write_images(folder / new.files[0], recording.frames)
            pulse = recording.measure(np.arange(n_frames) / FPS)["pulse"]
            lines = [HEADER, *(f"{value!r},1,1,1,nan" for value in pulse.tolist())]
            (folder / new.files[1]).write_text("\n".join(lines) + "\n", encoding="ascii")
        return new


def read_thermal(path: Path) -> Float32[np.ndarray, "512 640"]:
    """One thermal image in degrees Celsius. Raises InputError where the file is not one."""
    data = read_bytes(path)
    height, width = THERMAL_SHAPE
    if len(data) != 2 * height * width:
        raise InputError(
            f"{path}: {len(data)} bytes, not {2 * height * width} as a thermal image of "
            f"{width}x{height} pixels; {REPAIR}"
        )
    levels = np.frombuffer(data, "<u2").reshape(height, width)
    celsius: Float32[np.ndarray, "512 640"] = (levels * CELSIUS_PER_LEVEL + CELSIUS_AT_0).astype(
        np.float32
    )
    return celsius


def _read_table(path: Path) -> dict[str, tuple[str, ...]]:
    """The columns of a table by their names in small letters.

    Raises InputError where lines differ in length, or there are none.
    """
    lines = read_lines(path)
    separator = separator_of(lines[0])
    header, *rows = (cells(line, separator) for line in lines)
    if not rows:
        raise InputError(f"{path}: 0 pulse samples; {REPAIR}")
    odd = [index for index, row in enumerate(rows, 2) if len(row) != len(header)]
    if odd:
        raise InputError(
            f"{path}: {len(header)} columns, but not so many values in line {odd[0]}, "
            f"{shown(lines[odd[0] - 1])}; {REPAIR}"
        )
    names = (name.lower() for name in header)
    return dict(zip(names, zip(*rows, strict=True), strict=True))


def _marks(path: Path, values: Iterable[str], what: str) -> Float[np.ndarray, "t"]:
    """Marks of quality; NaN where there is none."""
    try:
        return np.array([float(value or "nan") for value in values])
    except ValueError as error:
        raise InputError(f"{path}: {what} is not made of numbers ({error}); {REPAIR}") from error


def _write_images(folder: Path, frames: Iterable[Frame]) -> int:
    """One BMP for each frame, numbered from 0; gives how many."""
    folder.mkdir()
    n_frames = 0
    for frame in frames:
        _, bmp = cv2.imencode(".bmp", cv2.cvtColor(frame.rgb, cv2.COLOR_RGB2BGR))
        (folder / f"{n_frames:06d}.bmp").write_bytes(bmp.tobytes())
        n_frames += 1
    return n_frames


def _recording(root: Path, name: str) -> Recording:
    subject, session = name.removeprefix("p").split("_")
    return Recording(
        dataset="ibvp",
        name=name,
        subject=subject,
        session=session,
        root=root,
        files=(f"{name}/{name}_rgb", f"{name}/{name}_bvp.csv"),
        conditions={"task": TASKS[session]},
    )
