"""One recording of a raw data set."""

from dataclasses import dataclass, replace

import numpy as np

from physkit.audit.evidence import CROP_SIZE_PX, Audited, Video, judge, watch
from physkit.core.errors import InputError
from physkit.data.findings import Finding
from physkit.data.readers import READERS
from physkit.data.readers.base import Reader
from physkit.data.recording import Label, Recording
from physkit.media.frames import FrameSource


@dataclass(frozen=True)
class RawTask:
    """A recording to be audited, and how."""

    recording: Recording
    """Where it lies."""
    quick: bool
    """Whether the frames are left undecoded."""
    detector: str
    """Name in `DETECTORS`, or "auto"."""
    detector_weights: str | None
    """Its model file."""

    @property
    def name(self) -> str:
        """Name of the recording."""
        return self.recording.name

    @property
    def subject(self) -> str:
        """The person."""
        return self.recording.subject


def audit_raw(task: RawTask) -> Audited:
    """Looks at one raw recording; what it cannot read is a finding."""
    reader: Reader = READERS[task.recording.dataset]()
    recording = task.recording
    findings = [Finding("condition-unknown", "warning", what) for what in recording.unknown]
    label, label_error = _read_label(reader, recording)
    video, video_error = _read_video(reader, task)
    if label_error:
        findings.append(_unreadable("label", recording, label_error))
    if video_error and video_error != label_error:
        findings.append(_unreadable("video", recording, video_error))
    if label is not None:
        findings += [Finding("label-mended", "warning", warning) for warning in label.warnings]
    return judge(
        recording.name,
        subject=recording.subject,
        video=video,
        label=None if label is None else label.pulse,
        found=findings,
    )


def _read_label(reader: Reader, recording: Recording) -> tuple[Label | None, str | None]:
    """The label, or why there is none."""
    try:
        return reader.read_label(recording), None
    except InputError as error:
        return None, str(error)


def _read_video(reader: Reader, task: RawTask) -> tuple[Video | None, str | None]:
    """What the video shows, or why it cannot be read to its end."""
    try:
        with reader.open_frames(task.recording) as source:
            return (_declared(source) if task.quick else _watched(source, task)), None
    except InputError as error:
        return None, str(error)


def _declared(source: FrameSource) -> Video | None:
    """What a container says of itself."""
    if source.n_frames is None or not source.fps > 0:
        return None
    ends_s = np.array([0.0, (source.n_frames - 1) / source.fps])
    return Video(ends_s, source.n_frames)


def _watched(source: FrameSource, task: RawTask) -> Video:
    from physkit.face.config import FaceConfig
    from physkit.inference.crops import make_tracker, tracked_crops

    tracker, _ = make_tracker(FaceConfig(task.detector, task.detector_weights))
    video = watch(tracked_crops(source, tracker, size=CROP_SIZE_PX))
    return replace(video, damage=source.damage)


def _unreadable(what: str, recording: Recording, message: str) -> Finding:
    """A file that is missing, or one that is there and cannot be read."""
    absent = [file for file in recording.files if not (recording.root / file).exists()]
    missing = any(str(recording.root / file) in message for file in absent)
    return Finding(f"{what}-{'missing' if missing else 'unreadable'}", "error", message)
