"""COHFACE. Heusch et al. 2017."""

import re
from pathlib import Path

import h5py
import numpy as np
from jaxtyping import Float

from physkit.core.errors import InputError
from physkit.core.files import missing, visible
from physkit.data.formats.avi import write_avi
from physkit.data.formats.labels import REPAIR, make_label, numbers, numbers_beside
from physkit.data.formats.writing import check_session, sensor_times_s, whole_recording
from physkit.data.readers.base import Layout, NewRecording, Reader
from physkit.data.recording import Label, Recording
from physkit.media.frames import FrameSource
from physkit.media.video import VideoFile

LIGHTS = ("spot", "spot", "natural", "natural")
"""The light of sessions 0 to 3."""

SUBJECT = re.compile(r"\d+")
LABEL_RATE_HZ = 256.0


class CohfaceReader(Reader):
    """A video at the rate of its AVI, and a label with seconds of its own."""

    name = "cohface"
    title = "COHFACE"
    tree = "N/M/data.avi and N/M/data.hdf5"
    layout = Layout(width=640, height=480, fps=20.0, keeps_times=False)

    def _find(self, root: Path) -> list[Recording]:
        subjects = (child for child in visible(root) if SUBJECT.fullmatch(child.name))
        return [
            _recording(root, subject.name, session)
            for subject in subjects
            for session in range(len(LIGHTS))
            if (subject / str(session)).is_dir()
        ]

    def open_frames(self, recording: Recording) -> FrameSource:
        """The video at its own rate. Raises InputError when it is missing or damaged."""
        return VideoFile(recording.path(recording.files[0]))

    def read_label(self, recording: Recording) -> Label:
        """Pulse and respiration. Raises InputError when they are missing, empty or damaged."""
        path = recording.path(recording.files[1])
        warnings: list[str] = []
        times_s, pulse, respiration = _read_arrays(path, warnings)
        columns = {} if respiration is None else {"respiration": respiration}
        n_breath = len(pulse) if respiration is None else len(respiration)
        if not len(times_s) == len(pulse) == n_breath:
            raise InputError(
                f"{path}: {len(times_s)} times, {len(pulse)} pulse and {n_breath} "
                f"respiration samples, which should be as many; {REPAIR}"
            )
        return make_label(path, times_s, pulse, columns, tuple(warnings))

    def write(self, root: Path, recording: NewRecording) -> Recording:
        """Writes one of the four sessions of a person, 0 to 3."""
        check_session(self.title, recording, len(LIGHTS))
        new = _recording(root, str(recording.subject), recording.session)
        with whole_recording(root, new.name, new.files) as folder:
            write_avi(
                folder / new.files[0],
                recording.frames,
                size_px=(recording.width, recording.height),
                fps=recording.fps,
                codec="mpeg4",
            )
            times_s = sensor_times_s(recording.duration_s, LABEL_RATE_HZ)
            shown = recording.measure(times_s)
            with h5py.File(folder / new.files[1], "w") as file:
                file["time"] = times_s
                file["pulse"] = shown["pulse"]
                file["respiration"] = shown["respiration"]
                file.attrs["sample-rate-hz"] = LABEL_RATE_HZ
        return new


def _read_arrays(
    path: Path, warnings: list[str]
) -> tuple[Float[np.ndarray, "t"], Float[np.ndarray, "p"], Float[np.ndarray, "r"] | None]:
    """Times in seconds, pulse, and respiration where it is there, or else a warning.

    Raises InputError where times or pulse are missing.
    """
    if not path.is_file():
        raise missing(path, f"no such file; {REPAIR}")
    try:
        with h5py.File(path) as file:
            times_s, pulse = (np.ravel(file[name][()]) for name in ("time", "pulse"))
            breath = file.get("respiration")
            respiration = np.ravel(breath[()]) if isinstance(breath, h5py.Dataset) else None
    except (OSError, RuntimeError, ValueError) as error:
        raise InputError(f"{path}: not a readable HDF5 file ({error}); {REPAIR}") from error
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{path}: not a label of COHFACE, with time and pulse ({error}); {REPAIR}"
        ) from error
    beside = None
    if respiration is None:
        warnings.append(f"{path.name}: respiration is unknown")
    else:
        beside = numbers_beside(path, respiration, "respiration", warnings)
    return numbers(path, times_s, "time"), numbers(path, pulse, "pulse"), beside


def _recording(root: Path, subject: str, session: int) -> Recording:
    folder = f"{subject}/{session}"
    return Recording(
        dataset="cohface",
        name=f"{subject}_{session}",
        subject=subject,
        session=str(session),
        root=root,
        files=(f"{folder}/data.avi", f"{folder}/data.hdf5"),
        conditions={"light": LIGHTS[session]},
    )
