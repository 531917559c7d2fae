"""PURE. Stricker et al. 2014."""

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from physkit.core.errors import InputError
from physkit.core.files import missing, visible
from physkit.core.text import decode_text
from physkit.data.formats.labels import REPAIR, make_label, numbers, numbers_beside, read_bytes
from physkit.data.formats.writing import check_session, sensor_times_s, whole_recording
from physkit.data.readers.base import Layout, NewRecording, Reader
from physkit.data.recording import Label, Recording
from physkit.media.frames import Frame, FrameSource
from physkit.media.images import NANOSECONDS, ImageFolder, image_files

TASKS = (
    "steady",
    "talking",
    "slow translation",
    "fast translation",
    "small rotation",
    "medium rotation",
)
"""What the person does in sessions 01 to 06."""

FOLDER = re.compile(r"(\d{2,})-0([1-6])")
LABEL_RATE_HZ = 60.0
FIRST_FRAME_NS = 1_392_643_993_000_000_000
"""When a written recording begins, in nanoseconds since 1970: as the published ones, in 2014."""
NS = 1e-9

COLUMNS = {
    "heart_rate_bpm": "pulseRate",
    "spo2_percent": "o2saturation",
    "signal_strength": "signalStrength",
}
"""Column of the label to name in the file."""
FULL_SIGNAL = 8
"""Signal strength of a sensor that sits well."""
FAST_PNG = (
    cv2.IMWRITE_PNG_COMPRESSION,
    1,
    cv2.IMWRITE_PNG_STRATEGY,
    cv2.IMWRITE_PNG_STRATEGY_RLE,
)
"""Of a noisy picture it makes smaller files than the default, and faster."""


class PureReader(Reader):
    """Images whose names are nanoseconds, and a label with nanoseconds of its own."""

    name = "pure"
    title = "PURE"
    tree = "SS-TT/SS-TT/Image*.png and SS-TT/SS-TT.json"
    layout = Layout(width=640, height=480, fps=30.0, keeps_times=True)

    def _find(self, root: Path) -> list[Recording]:
        folders = (child for child in visible(root) if FOLDER.fullmatch(child.name))
        return [
            _recording(root, folder.name, is_nested=(folder / folder.name).is_dir())
            for folder in folders
            if folder.is_dir()
        ]

    def open_frames(self, recording: Recording) -> FrameSource:
        """The images, in order of the times in their names. Raises InputError when there are none
        or a name holds no time, and while iterating, for an image that cannot be read."""
        folder = recording.path(recording.files[0])
        _frame_stamps_ns(folder)
        return ImageFolder(folder)

    def read_label(self, recording: Recording) -> Label:
        """The contact pulse. Raises InputError when it is missing, empty or damaged."""
        folder, path = (recording.path(file) for file in recording.files)
        packages, listed_ns = _read_document(path)
        frames_ns = _frame_stamps_ns(folder) if folder.is_dir() else []
        start_ns = min(frames_ns or listed_ns, default=None)
        if start_ns is None:
            raise InputError(f"{path}: neither images nor times of images; {REPAIR}")
        values = [value for _, value in packages]
        times_s = numbers(path, ((stamp - start_ns) * NS for stamp, _ in packages), "Timestamp")
        lacking = sum("waveform" not in value for value in values)
        if lacking:
            raise InputError(
                f"{path}: waveform: {lacking} of {len(values)} are not stated; {REPAIR}"
            )
        pulse = numbers(path, [value["waveform"] for value in values], "waveform")
        warnings = list(_disagreement(path, frames_ns, listed_ns))
        columns = {
            column: numbers_beside(path, [value[key] for value in values], key, warnings)
            for column, key in COLUMNS.items()
            if all(key in value for value in values)
        }
        return make_label(path, times_s, pulse, columns, tuple(warnings))

    def write(self, root: Path, recording: NewRecording) -> Recording:
        """Writes one of the six tasks of a person, session 0 to 5."""
        check_session(self.title, recording, len(TASKS))
        name = f"{recording.subject:02d}-{recording.session + 1:02d}"
        new = _recording(root, name, is_nested=True)
        with whole_recording(root, new.name, new.files) as folder:
            images_ns = _write_images(folder / new.files[0], recording.frames)
            document = {
                "/FullPackage": _measured(recording),
                "/Image": [
                    {"Timestamp": stamp, "Value": {}, "FrameID": "/CameraFrame"}
                    for stamp in images_ns
                ],
            }
            (folder / new.files[1]).write_text(json.dumps(document, indent=1), encoding="ascii")
        return new


def _read_document(path: Path) -> tuple[list[tuple[int, dict[str, Any]]], list[int]]:
    """Times in nanoseconds and values of a label, and the times that it lists for the images.

    Raises InputError where it has another form.
    """
    try:
        document = json.loads(decode_text(read_bytes(path)))
        packages = [
            (_whole(package["Timestamp"]), dict(package["Value"]))
            for package in document["/FullPackage"]
        ]
        images = [_whole(image["Timestamp"]) for image in document.get("/Image", [])]
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not a readable label ({error}); {REPAIR}") from error
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{path}: not a label of PURE, with Timestamp and Value in each /FullPackage "
            f"({error!r}); {REPAIR}"
        ) from error
    return packages, images


def _whole(stamp: object) -> int:
    """A time in nanoseconds; a float would have lost most of them."""
    if not isinstance(stamp, int):
        raise ValueError(f"a Timestamp is {stamp!r}, not whole nanoseconds")
    return stamp


def _frame_stamps_ns(folder: Path) -> list[int]:
    """Times of the images by their names. Raises InputError for a name without one."""
    try:
        files = image_files(folder)
    except OSError as error:
        raise missing(folder, f"no readable folder of images; {REPAIR}") from error
    stamps = []
    for file in files:
        stamp = NANOSECONDS.search(file.stem)
        if stamp is None:
            raise InputError(f"{file}: its name holds no time in nanoseconds; remove or rename it")
        stamps.append(int(stamp[1]))
    return stamps


def _disagreement(path: Path, frames_ns: list[int], listed_ns: list[int]) -> tuple[str, ...]:
    """A warning where the images are not those that the label lists, by their times."""
    if not (frames_ns and listed_ns):
        return ()
    n_lacking = len(set(listed_ns) - set(frames_ns))
    n_unlisted = len(set(frames_ns) - set(listed_ns))
    if not (n_lacking or n_unlisted):
        return ()
    listed = f"lists {len(listed_ns)} images, {n_lacking} of which are not there"
    return (f"{path.name}: {listed}; {n_unlisted} of {len(frames_ns)} there are not listed",)


def _write_images(folder: Path, frames: Iterable[Frame]) -> list[int]:
    """One PNG for each frame, named by its time; gives the times in nanoseconds."""
    folder.mkdir()
    stamps = []
    for frame in frames:
        stamps.append(FIRST_FRAME_NS + round(frame.timestamp_s / NS))
        bgr = cv2.cvtColor(frame.rgb, cv2.COLOR_RGB2BGR)
        _, png = cv2.imencode(".png", bgr, FAST_PNG)
        (folder / f"Image{stamps[-1]}.png").write_bytes(png.tobytes())
    return stamps


def _measured(recording: NewRecording) -> list[dict[str, object]]:
    """What the label holds: the sensor at 60 Hz, on the clock of the images."""
    stamps = np.round(sensor_times_s(recording.duration_s, LABEL_RATE_HZ) / NS).astype(np.int64)
    shown = recording.measure(stamps * NS)
    rows = zip(stamps, shown["pulse"], shown["heart_rate_bpm"], shown["spo2_percent"], strict=True)
    return [
        {
            "Timestamp": FIRST_FRAME_NS + int(stamp),
            "Value": {
                "o2saturation": float(spo2_percent),
                "pulseRate": float(heart_rate_bpm),
                "signalStrength": FULL_SIGNAL,
                "waveform": float(pulse),
            },
            "FrameID": "",
        }
        for stamp, pulse, heart_rate_bpm, spo2_percent in rows
    ]


def _recording(root: Path, name: str, *, is_nested: bool) -> Recording:
    """is_nested: whether the images have a folder of their own, as in the published archive."""
    subject, session = name.split("-")
    return Recording(
        dataset="pure",
        name=name,
        subject=subject,
        session=session,
        root=root,
        files=(f"{name}/{name}" if is_nested else name, f"{name}/{name}.json"),
        conditions={"task": TASKS[int(session) - 1]},
    )
