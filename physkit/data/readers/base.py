"""What every reader does, and what it is given to write."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
from jaxtyping import Float

from physkit.core.errors import InputError
from physkit.core.files import is_dead_link, missing, visible
from physkit.core.naming import natural_order
from physkit.data.formats.truth import TRUTH_FOLDER, Told, read_told
from physkit.data.recording import Condition, Label, Recording
from physkit.media.frames import Frame, FrameSource

SHOWN_ENTRIES = 5
"""How many entries of a wrong folder its error names."""


@dataclass(frozen=True)
class Layout:
    """What the recordings of a data set have in common."""

    width: int
    """Width of the video in pixels."""
    height: int
    """Height of the video in pixels."""
    fps: float
    """Frames per second."""
    keeps_times: bool
    """Whether the layout holds a time for every frame; others hold a rate at most."""


@dataclass(frozen=True)
class RawTree:
    """What a reader finds under a root."""

    recordings: tuple[Recording, ...]
    """In natural order of their names; some may turn out to be damaged or incomplete."""
    strays: tuple[Path, ...]
    """Files that belong to no recording."""

    @property
    def dead_links(self) -> tuple[Path, ...]:
        """Those of them that are links to what is not there: perhaps a recording each."""
        return tuple(path for path in self.strays if is_dead_link(path))


@dataclass(frozen=True, eq=False)
class NewRecording:
    """A recording to be written in a data set's own layout."""

    subject: int
    """The person's number, from 1."""
    session: int
    """Which of the person's recordings, from 0."""
    conditions: Mapping[str, Condition]
    """Condition columns; a layout writes those it has a place for."""
    width: int
    """Width of every frame in pixels."""
    height: int
    """Height of every frame in pixels."""
    fps: float
    """Nominal frame rate in Hz."""
    duration_s: float
    """Length in seconds."""
    frames: Iterator[Frame]
    """The video on its true clock; can be read once."""
    measure: Callable[[Float[np.ndarray, "t"]], Mapping[str, Float[np.ndarray, "t"]]]
    """What the contact sensor shows at any times in seconds since the first frame: `pulse`,
    `heart_rate_bpm`, `spo2_percent`, `respiration`."""


class Reader(ABC):
    """One data set: finds its recordings, opens their video and label, and writes its layout.

    Readers hold no state and no open files.
    """

    name: ClassVar[str]
    """Its name in `READERS`."""
    title: ClassVar[str]
    """What the field calls it."""
    tree: ClassVar[str]
    """Expected files relative to the root, in one line."""
    layout: ClassVar[Layout]
    """What the published recordings look like."""

    def find(self, root: Path) -> RawTree:
        """The recordings under a root, with the conditions of synthetic ones added.

        Raises InputError, with the expected tree and the nearest match, where there are none, and
        where the root cannot be looked into.
        """
        if not root.is_dir():
            raise missing(root, f"no such folder; --raw is the one that holds {self.tree}")
        try:
            recordings = self._find(root)
        except OSError as error:
            raise InputError(f"{root}: cannot be looked into ({error}); mend that") from error
        if not recordings:
            for entry in visible(root):
                if is_dead_link(entry):
                    raise missing(entry, "")
            raise InputError(
                f"{root}: no {self.title} recordings; expected {self.tree}; {self._nearest(root)}"
            )
        known = read_told(root)
        recordings = [
            _told(recording, known.get(recording.name))
            for recording in sorted(recordings, key=lambda r: natural_order(r.name))
        ]
        return RawTree(tuple(recordings), tuple(_strays(root, recordings)))

    @abstractmethod
    def _find(self, root: Path) -> list[Recording]:
        """The recordings directly under this root, in any order; empty where there are none."""

    @abstractmethod
    def open_frames(self, recording: Recording) -> FrameSource:
        """The video, frame by frame. Raises InputError when it is missing or damaged."""

    @abstractmethod
    def read_label(self, recording: Recording) -> Label:
        """The contact measurement. Raises InputError when it is missing, empty or damaged."""

    @abstractmethod
    def write(self, root: Path, recording: NewRecording) -> Recording:
        """Writes a recording as the data set would hold it; gives what `find` will find."""

    def _find_there(self, folder: Path) -> list[Recording]:
        """As `_find`; nothing where the folder cannot be looked into."""
        try:
            return self._find(folder)
        except OSError:
            return []

    def _nearest(self, root: Path) -> str:
        """Where near `root` such recordings are, or what is there instead."""
        children = _folders(root)
        grandchildren = [grandchild for child in children for grandchild in _folders(child)]
        places = (*children, root.parent, *grandchildren)
        found = [recording for folder in places for recording in self._find_there(folder)]
        if found:
            # by names alone, the folders of another data set may be taken for this one's
            folder = next((r for r in found if r.is_complete), found[0]).root
            n = sum(recording.root == folder for recording in found)
            return f"{n} found in {folder}: give that as --raw"
        entries = [child.name for child in visible(root)]
        shown = ", ".join(entries[:SHOWN_ENTRIES])
        more = f" and {len(entries) - SHOWN_ENTRIES} more" if len(entries) > SHOWN_ENTRIES else ""
        return f"it holds {shown}{more}" if entries else "it is empty"


def _folders(folder: Path) -> list[Path]:
    """The folders in a folder, in order; none where it cannot be looked into."""
    try:
        return [child for child in visible(folder) if child.is_dir()]
    except OSError:
        return []


def _strays(root: Path, recordings: list[Recording]) -> list[Path]:
    """Files under `root` that no recording names, in order; hidden ones do not count.

    A folder that cannot be looked into counts as a file, and so does one that is only a link: it
    may lead round in a circle.
    """
    files = {root / file for recording in recordings for file in recording.files}
    known = files | {root / TRUTH_FOLDER}
    around = {folder for file in files for folder in file.parents}
    strays: list[Path] = []
    folders = [root]
    while folders:
        folder = folders.pop()
        try:
            entries = visible(folder)
        except OSError:
            strays.append(folder)
            continue
        for entry in entries:
            if entry in known:
                continue
            if entry.is_dir() and (entry in around or not entry.is_symlink()):
                folders.append(entry)
            else:
                strays.append(entry)
    return sorted(strays)


def _told(recording: Recording, told: Told | None) -> Recording:
    """The recording with what is known of it where it is a synthetic one."""
    if told is None:
        return recording
    conditions = {**recording.conditions, **told.conditions}
    return replace(recording, conditions=conditions, parameters=told.parameters)
