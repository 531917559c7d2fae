"""MMPD, and its small version. Tang et al. 2023.

Which way up: the README calls the video (t, w, h, c) and its size 320x240. What is published is
(1800, 320, 240, 3), or (1800, 80, 60, 3): phones held upright, 320 rows of 240 pixels, so that the
axes are (t, h, w, c) as everywhere else, and no turn is needed.
"""

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Shaped

from physkit.core.errors import InputError
from physkit.core.files import below, visible
from physkit.data.formats.labels import make_label
from physkit.data.formats.mat import open_mat
from physkit.data.formats.matlab import MatValue
from physkit.data.formats.matlab_video import MatVideo
from physkit.data.formats.matlab_writer import MatWriter, new_mat
from physkit.data.formats.writing import check_rate, check_session, whole_recording
from physkit.data.readers.base import Layout, NewRecording, Reader
from physkit.data.recording import Condition, Label, Recording
from physkit.media.frames import FrameSource

SUBJECT = re.compile(r"subject(\d+)")
FILE = re.compile(r"p(\d+)_(\d+)\.mat")
FPS = 30.0
VIDEO, LABEL = "video", "GT_ppg"

TEXTS = ("light", "motion", "gender")
TRUTHS = ("exercise", "glasser", "hair_cover", "makeup")
"""Conditions that the files hold as 'True' or 'False'."""
TRUTH_WORDS = {"true": True, "1": True, "1.0": True, "false": False, "0": False, "0.0": False}
SKIN_COLOUR = "skin_color"

MOTIONS = ("Stationary", "Rotation", "Talking", "Walking")
AFTER_EXERCISE = "Stationary (after exercise)"
PROTOCOL = (
    *(("LED-low", motion) for motion in MOTIONS),
    *(("LED-high", motion) for motion in MOTIONS),
    *(("Incandescent", motion) for motion in MOTIONS),
    *((light, AFTER_EXERCISE) for light in ("Incandescent", "LED-high", "LED-low", "Nature")),
    *(("Nature", motion) for motion in MOTIONS),
)
"""Light and motion of sessions 0 to 19, by the published list of labels."""


class MmpdReader(Reader):
    """One MATLAB file for each recording, video, label and conditions together.

    The video has 30 frames/s and the label 30 values/s, from the first frame on. The conditions
    are read in finding the recordings, some milliseconds each; a recording whose file is damaged
    is found without them.
    """

    name = "mmpd"
    title = "MMPD"
    tree = "subjectN/pN_k.mat"
    layout = Layout(width=240, height=320, fps=FPS, keeps_times=False)

    def _find(self, root: Path) -> list[Recording]:
        folders = (child for child in visible(root) if SUBJECT.fullmatch(child.name))
        return [
            _recording(root, folder.name, file.name)
            for folder in folders
            if folder.is_dir()
            for file in visible(folder)
            if _belongs(file.name, folder.name)
        ]

    def open_frames(self, recording: Recording) -> FrameSource:
        """The video. Raises InputError when it is missing or damaged."""
        return MatVideo(recording.path(recording.files[0]), VIDEO, fps=FPS)

    def read_label(self, recording: Recording) -> Label:
        """The contact pulse. Raises InputError when it is missing, empty or damaged."""
        path = recording.path(recording.files[0])
        with open_mat(path) as mat:
            pulse = mat.signal(LABEL)
            video = mat.header(VIDEO)
        n_frames = video.shape[0] if video else len(pulse)
        warnings = []
        if n_frames != len(pulse):
            warnings.append(f"{path.name}: {n_frames} frames and {len(pulse)} label samples")
        return make_label(path, np.arange(len(pulse)) / FPS, pulse, {}, tuple(warnings))

    def write(self, root: Path, recording: NewRecording) -> Recording:
        """Writes one of the twenty sessions of a person, 0 to 19, at 30 frames/s.

        Light and motion are those of the conditions, or of the session's number; skin colour is
        `skin_color`, or `fitzpatrick` rounded, or 3; the rest `male` and `False`.
        """
        check_session(self.title, recording, len(PROTOCOL))
        check_rate(self.title, recording, FPS)
        folder, name = f"subject{recording.subject}", f"p{recording.subject}_{recording.session}"
        files = (f"{folder}/{name}.mat",)
        with whole_recording(root, name, files) as place, new_mat(place / files[0]) as mat:
            size_px = (recording.width, recording.height)
            n_frames = mat.video(VIDEO, recording.frames, size_px=size_px)
            mat.signal(LABEL, recording.measure(np.arange(n_frames) / FPS)["pulse"])
            _write_conditions(mat, _as_published(recording.conditions, recording.session))
        return _recording(root, folder, f"{name}.mat")


def _belongs(file: str, folder: str) -> bool:
    """Whether a file of this name is a recording of the person whose folder it is in."""
    match = FILE.fullmatch(file)
    return match is not None and f"subject{match[1]}" == folder


def _recording(root: Path, folder: str, file: str) -> Recording:
    name = file.removesuffix(".mat")
    subject, session = name.removeprefix("p").split("_")
    path = f"{folder}/{file}"
    conditions, unknown = _read_conditions(root, path)
    return Recording(
        dataset="mmpd",
        name=name,
        subject=subject,
        session=session,
        root=root,
        files=(path,),
        conditions=conditions,
        unknown=unknown,
    )


def _read_conditions(root: Path, file: str) -> tuple[dict[str, Condition], tuple[str, ...]]:
    """What the file states of the recording, each condition by itself, and what cannot be read.

    Nothing where the file is damaged, or lies elsewhere: its frames and label will say so.
    """
    stated: dict[str, Condition] = {}
    unknown: list[str] = []
    try:
        with open_mat(below(root, file)) as mat:
            for name in (*TEXTS, SKIN_COLOUR, *TRUTHS):
                if name not in mat.names:
                    continue
                try:
                    stated[name] = _condition(name, mat.read(name))
                except (InputError, ValueError, TypeError, OverflowError) as error:
                    reason = str(error).removeprefix(f"{mat.path}: ")
                    unknown.append(f"{file}: condition {name} is unknown: {reason}")
    except InputError:
        return {}, ()
    return stated, tuple(unknown)


def _condition(name: str, value: MatValue) -> Condition:
    """One condition. Raises ValueError where it is not stated as published."""
    plain = value.strip() if isinstance(value, str) else _single(value)
    if name in TEXTS:
        if not (isinstance(plain, str) and plain):
            raise ValueError(f"{plain!r} is no text")
        return plain
    if name == SKIN_COLOUR:
        number = float(plain)
        if not number.is_integer():
            raise ValueError(f"{plain!r} is no whole number")
        return int(number)
    known = TRUTH_WORDS.get(str(plain).lower())
    if known is None:
        raise ValueError(f"{plain!r} is neither true nor false")
    return known


def _single(value: Shaped[np.ndarray, "..."]) -> float:
    """The one number of an array. Raises ValueError or TypeError where there is none, or more."""
    if value.size != 1:
        raise ValueError(f"it holds {value.size} values")
    return float(value.item())


def _as_published(given: Mapping[str, Condition], session: int) -> dict[str, Condition]:
    """Every condition that a file states, where some may be given."""
    light, motion = PROTOCOL[session]
    light, motion = str(given.get("light", light)), str(given.get("motion", motion))
    colour = given.get(SKIN_COLOUR, given.get("fitzpatrick", 3))
    stated: dict[str, Condition] = {
        "light": light,
        "motion": motion,
        "gender": str(given.get("gender", "male")),
        SKIN_COLOUR: round(float(colour)),
        "exercise": bool(given.get("exercise", motion == AFTER_EXERCISE)),
    }
    return stated | {name: bool(given.get(name, False)) for name in TRUTHS if name not in stated}


def _write_conditions(mat: MatWriter, conditions: Mapping[str, Condition]) -> None:
    for name, value in conditions.items():
        if name == SKIN_COLOUR:
            mat.number(name, float(value))
        else:
            mat.text(name, str(value))
