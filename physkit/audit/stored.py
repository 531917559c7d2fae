"""One recording of a store."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from physkit.audit.evidence import CROP_SIZE_PX, Audited, Video, broken, judge, watch
from physkit.core.errors import InputError
from physkit.data.findings import Finding
from physkit.data.store import NO_SEGMENT, StoredRecording, open_store
from physkit.media.frames import DamageCount

NEEDED_ATTRIBUTES = ("dataset", "subject", "session", "conditions", "settings")


@dataclass(frozen=True)
class StoredTask:
    """A prepared recording to be audited, and how."""

    store: str
    """Path or address of the store."""
    name: str
    """Name of the recording."""
    quick: bool
    """Whether the crops are left unread."""
    subject: str | None = None
    """Not known before the recording is opened."""


def audit_stored(task: StoredTask) -> Audited:
    """Looks at one prepared recording; what it cannot read is a finding."""
    try:
        recording = open_store(task.store)[task.name]
        lacking = [name for name in NEEDED_ATTRIBUTES if name not in recording.attributes]
        if lacking:
            message = f"its attributes lack {', '.join(lacking)}"
            return broken(task.name, None, Finding("damaged", "error", message))
        recording.check_files()
        return _audit(recording, task)
    except InputError as error:
        return broken(task.name, task.subject, Finding("damaged", "error", str(error)))


def _audit(recording: StoredRecording, task: StoredTask) -> Audited:
    found = _check_counts(recording)
    if found:
        video = None
    elif task.quick or not _increases(recording.timestamps_s):
        seen = recording.segments != NO_SEGMENT
        coverage = float(seen.mean()) if len(seen) else 0.0
        video = Video(recording.timestamps_s, recording.n_frames, coverage)
    else:
        from physkit.inference.recordings import recording_crops

        size = min(CROP_SIZE_PX, recording.size_px)
        video = watch(recording_crops(recording, size=size))
    if video is not None:
        n_damaged = int(recording.attributes.get("n_damaged", 0))
        video = replace(video, damage=DamageCount(n_damaged))
    has_label = recording.length("pulse") == recording.length("pulse_timestamps_s")
    return judge(
        recording.name,
        subject=recording.subject,
        video=video,
        label=recording.pulse if has_label else None,
        found=found,
        source=recording.attributes.get("source"),
        settings=recording.settings,
    )


def _check_counts(recording: StoredRecording) -> list[Finding]:
    """Arrays that should be as long as each other."""
    of_frames = ("frames", "timestamps_s", "box", "confidence", "segment")
    for group in (of_frames, ("pulse", "pulse_timestamps_s")):
        lengths = {name: recording.length(name) for name in group}
        if len(set(lengths.values())) > 1:
            listed = ", ".join(f"{name} {n}" for name, n in lengths.items())
            return [Finding("count-mismatch", "error", f"arrays of unequal lengths: {listed}")]
    if recording.n_frames == 0:
        return [Finding("count-mismatch", "error", "0 frames")]
    return []


def _increases(times_s: Float[np.ndarray, "t"]) -> bool:
    return bool(np.all(np.diff(times_s) > 0))
