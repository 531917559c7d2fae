"""The work on one recording, the same for every engine: raw files to a recording of the store."""

import errno
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
from upath import UPath

from physkit.core.causes import unexpected
from physkit.core.errors import InputError, PhyskitError
from physkit.core.machine import peak_rss_mb
from physkit.data.checks import check_label, check_recording
from physkit.data.findings import Finding
from physkit.data.readers import READERS
from physkit.data.recording import Recording
from physkit.data.store import NO_SEGMENT
from physkit.data.store_writer import RecordingWriter, StoredFrame, new_recording
from physkit.face.track import FaceTracker
from physkit.inference.crops import tracked_crops
from physkit.media.frames import FrameSource
from physkit.prepare.remote import fetched
from physkit.prepare.settings import CropSettings
from physkit.prepare.source import Listing, check_unchanged, list_files, read_source

REPORT_EVERY_S = 0.5
LOW_COVERAGE = 0.9
"""Share of frames with a face below which the user is warned."""
DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


@dataclass(frozen=True)
class PrepareTask:
    """One recording to prepare; can be sent to another process or computer."""

    recording: Recording
    """What is known of it."""
    n_bytes: int
    """Size of its files."""
    out: UPath | Path
    """The store."""
    crop: CropSettings
    """How to find and crop its faces."""
    settings: Mapping[str, Any]
    """The same as it is stored."""
    origin: UPath | None = None
    """Where its files are to be fetched from; None where they lie under its root."""
    decode_threads: int = 0
    """Decoder threads; 0 lets the decoder choose, for a single worker."""
    known_contents: str | None = None
    """Checksum of what is in the store already; if the files have it, nothing is to be done."""


@dataclass(frozen=True)
class Progress:
    """How far the work on one recording is."""

    name: str
    """The recording."""
    n_frames: int
    """Frames done."""
    n_expected: int | None
    """Frames it probably has; None where unknown."""


@dataclass(frozen=True)
class Outcome:
    """The result of one task."""

    name: str
    """The recording."""
    n_frames: int = 0
    """Frames that were stored."""
    is_unchanged: bool = False
    """Whether what was stored before is as it should be."""
    failure: str | None = None
    """Why nothing was stored, in one line; None after success."""
    warnings: tuple[str, ...] = ()
    """What to know of it."""
    peak_rss_mb: float = 0.0
    """Most memory that the process has held so far, in units of 1024 * 1024 bytes."""


def work(task: PrepareTask) -> Iterator[Progress | Outcome]:
    """Does a task. Yields its progress about twice a second, and always an outcome at the end."""
    root = task.recording.root
    try:
        with _one_opencv_thread(), fetched(task.recording, task.origin) as recording:
            root = recording.root
            yield from _prepare(task, recording)
    except PhyskitError as error:
        yield _failure(task, str(error), root)
    except MemoryError:
        yield _failure(task, "out of memory; run again with fewer --workers", root)
    except OSError as error:
        is_full = error.errno in DISK_FULL
        cause = f"{task.out}: the disk is full; make room and run again" if is_full else str(error)
        yield _failure(task, cause, root)
    except Exception as error:  # noqa: BLE001 (a bug met in one recording must not end the others)
        yield _failure(task, f"{unexpected(error)}: a bug in physkit, please report it", root)


def _failure(task: PrepareTask, cause: str, root: Path) -> Outcome:
    if task.origin is not None:
        cause = cause.replace(str(root), str(task.origin))
    line = " ".join(cause.split())
    return Outcome(task.recording.name, failure=line, peak_rss_mb=peak_rss_mb())


def _prepare(task: PrepareTask, recording: Recording) -> Iterator[Progress | Outcome]:
    listing = list_files(recording)
    if task.known_contents is not None:
        source = read_source(recording, listing)
        if source["contents_xxh3_128"] == task.known_contents:
            yield Outcome(recording.name, is_unchanged=True, peak_rss_mb=peak_rss_mb())
            return
    reader = READERS[recording.dataset]()
    label = reader.read_label(recording)  # first: it is quick, and may fail
    _refuse_errors(recording, check_label(label.pulse))
    with (
        _read_beside(recording, listing) as source_read,
        new_recording(task.out, recording.name) as folder,
    ):
        writer = RecordingWriter(folder, size_px=task.crop.size_px)
        with reader.open_frames(recording) as frames:
            frames.decode_threads = task.decode_threads
            yield from _store_frames(frames, writer, task.crop, recording.name)
        check_unchanged(recording, listing)
        warnings = (
            *recording.unknown,
            *label.warnings,
            *frames.warnings,
            *_coverage_warnings(frames.name, writer, task.crop),
        )
        found = check_recording(writer.timestamps_s, label.pulse)
        _refuse_errors(recording, found)
        warnings += tuple(f"{f.check}: {f.message}" for f in found if f.severity == "warning")
        attributes = {
            **identity(recording),
            "settings": dict(task.settings),
            "source": source_read.result(),
            "n_frames": writer.n_frames,
            "n_damaged": frames.damage.n_damaged,
            "face_coverage": writer.n_faces / writer.n_frames,
            "warnings": list(warnings),
        }
        writer.finish(label, attributes)
    yield Outcome(recording.name, writer.n_frames, warnings=warnings, peak_rss_mb=peak_rss_mb())


def _refuse_errors(recording: Recording, findings: Sequence[Finding]) -> None:
    """Raises InputError for what physkit audit calls an error: nobody could use the recording."""
    for finding in findings:
        if finding.severity == "error":
            files = " or ".join(str(recording.root / file) for file in recording.files)
            raise InputError(f"{files}: {finding.check}: {finding.message}; {finding.suggestion}")


@contextmanager
def _read_beside(recording: Recording, listing: Listing) -> Iterator[Future[dict[str, Any]]]:
    """`read_source` in a thread beside the block, since it takes long."""
    abandoned = threading.Event()
    with ThreadPoolExecutor(1) as thread:
        try:
            yield thread.submit(read_source, recording, listing, abandoned)
        finally:
            abandoned.set()


def identity(recording: Recording) -> dict[str, Any]:
    """Attributes that the reader knows without opening the recording."""
    return {
        "dataset": recording.dataset,
        "name": recording.name,
        "subject": recording.subject,
        "session": recording.session,
        "conditions": dict(recording.conditions),
        **({"parameters": dict(recording.parameters)} if recording.parameters else {}),
    }


def _store_frames(
    frames: FrameSource, writer: RecordingWriter, crop: CropSettings, name: str
) -> Iterator[Progress]:
    """Crops every frame into the writer."""
    reported_s = time.monotonic()
    tracker = FaceTracker(crop.make_detector())
    with closing(tracked_crops(frames, tracker, size=crop.size_px)) as crops:
        for seen in crops:
            box = seen.box
            writer.append(
                StoredFrame(
                    timestamp_s=seen.timestamp_s,
                    crop=seen.crop,
                    box=None if box is None else (box.x, box.y, box.width, box.height),
                    confidence=seen.confidence,
                    segment=NO_SEGMENT if seen.segment is None else seen.segment,
                )
            )
            now_s = time.monotonic()
            if now_s - reported_s >= REPORT_EVERY_S:
                reported_s = now_s
                yield Progress(name, writer.n_frames, frames.n_frames)


def _coverage_warnings(video: str, writer: RecordingWriter, crop: CropSettings) -> list[str]:
    """Raises InputError where there is no frame, or no face in any."""
    other = "blazeface" if crop.detector == "haar" else "haar"
    if writer.n_frames == 0:
        raise InputError(f"{video}: no frames; copy or download it again")
    if writer.n_faces == 0:
        raise InputError(
            f"{video}: no face in any of {writer.n_frames} frames; try --face.detector {other}"
        )
    coverage = writer.n_faces / writer.n_frames
    if coverage >= LOW_COVERAGE:
        return []
    return [f"a face in {coverage:.0%} of the frames only; the others are black"]


@contextmanager
def _one_opencv_thread() -> Iterator[None]:
    """OpenCV on one thread inside: the cores belong to the workers, and the order of the faces
    that Haar finds must not depend on timing."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)
