"""SCAMPS. McDuff et al. 2022.

Which way up: the README lists `Xsub` as h5py shows it, (c, w, h, t), (3, 240, 240, 600); to MATLAB,
which counts the axes from the other end, it is (t, h, w, c), and the heads are upright.
"""

import re
from pathlib import Path

import numpy as np
from jaxtyping import Float

from physkit.core.errors import InputError
from physkit.core.files import visible
from physkit.data.formats.labels import REPAIR, make_label
from physkit.data.formats.mat import open_mat
from physkit.data.formats.matlab import MatFile
from physkit.data.formats.matlab_video import MatVideo
from physkit.data.formats.matlab_writer import new_mat
from physkit.data.formats.writing import check_rate, check_session, whole_recording
from physkit.data.readers.base import Layout, NewRecording, Reader
from physkit.data.recording import Label, Recording
from physkit.media.frames import FrameSource

FILE = re.compile(r"P\d+\.mat")
SPLITS = {"train": "train", "val": "validation", "validation": "validation", "test": "test"}
"""The official part of the data set, by the name of its folder in small letters."""
FOLDERS = {"train": "Train", "validation": "Val", "test": "Test"}
"""The folder that a part is written to."""
FPS = 30.0
VIDEO, LABEL, BREATHING = "Xsub", "d_ppg", "d_br"


class ScampsReader(Reader):
    """One MATLAB file for each recording: rendered faces, with the pulse they were rendered from.

    The video has 30 frames/s, and pulse and breathing a value a frame. Every recording shows a
    head of its own. The condition `split` is the part of the data set, where its files lie in a
    folder for each part.
    """

    name = "scamps"
    title = "SCAMPS"
    tree = "PXXXXXX.mat, or Train/PXXXXXX.mat, Val/PXXXXXX.mat and Test/PXXXXXX.mat"
    layout = Layout(width=240, height=240, fps=FPS, keeps_times=False)

    def _find(self, root: Path) -> list[Recording]:
        parts = [child for child in visible(root) if child.name.lower() in SPLITS]
        return [
            _recording(root, "" if folder == root else folder.name, file.name)
            for folder in (root, *parts)
            if folder.is_dir()
            for file in visible(folder)
            if FILE.fullmatch(file.name)
        ]

    def open_frames(self, recording: Recording) -> FrameSource:
        """The video. Raises InputError when it is missing or damaged."""
        return MatVideo(recording.path(recording.files[0]), VIDEO, fps=FPS)

    def read_label(self, recording: Recording) -> Label:
        """Pulse and breathing. Raises InputError when they are missing, empty or damaged."""
        path = recording.path(recording.files[0])
        with open_mat(path) as mat:
            pulse = mat.signal(LABEL)
            video = mat.header(VIDEO)
            columns, warnings = _breathing(mat)
        if columns and len(columns["respiration"]) != len(pulse):
            raise InputError(
                f"{path}: {len(pulse)} values in '{LABEL}' and {len(columns['respiration'])} in "
                f"'{BREATHING}', which should be as many; {REPAIR}"
            )
        n_frames = video.shape[0] if video else len(pulse)
        if n_frames != len(pulse):
            warnings.append(f"{path.name}: {n_frames} frames and {len(pulse)} label samples")
        return make_label(path, np.arange(len(pulse)) / FPS, pulse, columns, tuple(warnings))

    def write(self, root: Path, recording: NewRecording) -> Recording:
        """Writes `PXXXXXX.mat`, one for each person, at 30 frames/s.

        It goes where its condition `split` says (train, validation or test); by default to Train.
        """
        check_session(self.title, recording, 1)
        check_rate(self.title, recording, FPS)
        split = str(recording.conditions.get("split", "train"))
        if split not in FOLDERS:
            raise InputError(f"{root}: no split '{split}' in SCAMPS; give {', '.join(FOLDERS)}")
        new = _recording(root, FOLDERS[split], f"P{recording.subject:06d}.mat")
        with (
            whole_recording(root, new.name, new.files) as place,
            new_mat(place / new.files[0]) as mat,
        ):
            size_px = (recording.width, recording.height)
            n_frames = mat.video(VIDEO, recording.frames, size_px=size_px)
            shown = recording.measure(np.arange(n_frames) / FPS)
            mat.signal(LABEL, shown["pulse"])
            mat.signal(BREATHING, shown["respiration"])
        return new


def _breathing(mat: MatFile) -> tuple[dict[str, Float[np.ndarray, "t"]], list[str]]:
    """The column of breathing where the file has a usable one, and a warning where it is none."""
    if BREATHING not in mat.names:
        return {}, []
    try:
        return {"respiration": mat.signal(BREATHING)}, []
    except InputError as error:
        return {}, [f"{mat.path.name}: respiration is unknown: {error}"]


def _recording(root: Path, folder: str, file: str) -> Recording:
    """folder: of a part of the data set; empty where the file lies in the root."""
    stem, split = file.removesuffix(".mat"), SPLITS.get(folder.lower())
    # Numbers may begin anew in each part.
    name = stem if split is None else f"{split}_{stem}"
    return Recording(
        dataset="scamps",
        name=name,
        subject=name,
        session="1",
        root=root,
        files=(f"{folder}/{file}" if folder else file,),
        conditions={} if split is None else {"split": split},
    )
