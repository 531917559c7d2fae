"""What `physkit bench prep` times, each in a process of its own that holds nothing else."""

import shutil
from pathlib import Path

import cv2
import numpy as np

from physkit.bench.lap import Lap, Watch
from physkit.core.errors import InputError
from physkit.data.readers import READERS
from physkit.data.store_writer import create_store
from physkit.data.windows.config import RandomWindowsConfig, WindowSource
from physkit.data.windows.sampling import RandomWindows
from physkit.prepare.settings import CropSettings, stored_settings
from physkit.prepare.source import list_files
from physkit.prepare.work import Outcome, PrepareTask, work

SIZE_PX = 36
LOOP_DETECT_EVERY = 30
LOOP_ENLARGEMENT = 1.5
LOOP_CASCADE = "haarcascade_frontalface_default"


def opencv_loop(video: Path) -> Lap:
    """The straightforward way: read, convert, look for a face now and then, cut out, resize."""
    watch = Watch()
    capture = cv2.VideoCapture(str(video))
    cascade = cv2.CascadeClassifier(f"{cv2.data.haarcascades}{LOOP_CASCADE}.xml")
    crops: list[np.ndarray] = []
    rows, columns = slice(None), slice(None)
    while True:
        is_read, bgr = capture.read()
        if not is_read:
            break
        rgb = cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)
        if len(crops) % LOOP_DETECT_EVERY == 0:
            faces = cascade.detectMultiScale(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY))
            if len(faces):
                rows, columns = _enlarged(max(faces, key=lambda face: int(face[2])))
        small = cv2.resize(rgb[rows, columns], (SIZE_PX, SIZE_PX), interpolation=cv2.INTER_AREA)
        crops.append(small)
    capture.release()
    return watch.lap(len(crops))


def prepared(root: Path, dataset: str, out: Path) -> Lap:
    """All that `physkit prep` does for the one recording under a root, from file to new store."""
    (recording,) = READERS[dataset]().find(root).recordings
    crop = CropSettings("haar", None, SIZE_PX)
    shutil.rmtree(out, ignore_errors=True)
    create_store(out, dataset=dataset)
    n_bytes = list_files(recording).n_bytes
    task = PrepareTask(recording, n_bytes, out, crop, stored_settings(crop))
    watch = Watch()
    *_, outcome = work(task)
    assert isinstance(outcome, Outcome)
    lap = watch.lap(outcome.n_frames)
    if outcome.failure is not None:
        raise InputError(outcome.failure)
    return lap


def windows_read(store: Path, n_windows: int) -> Lap:
    """Random windows as a training run takes them, of the default length and form."""
    windows = RandomWindows([WindowSource(str(store))], RandomWindowsConfig())
    watch = Watch()
    return watch.lap(sum(len(windows[index].frames) for index in range(n_windows)))


def _enlarged(face: np.ndarray) -> tuple[slice, slice]:
    """Rows and columns of a face box, larger about its centre."""
    x, y, width, height = (int(edge) for edge in face)
    more_x, more_y = (round((LOOP_ENLARGEMENT - 1) / 2 * side) for side in (width, height))
    rows = slice(max(0, y - more_y), y + height + more_y)
    return rows, slice(max(0, x - more_x), x + width + more_x)
