"""Reading a store: a Zarr v3 group with one sub-group for each recording.

What is not in a store yet, or only half, is not there at all: see `store_writer.py`.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from jaxtyping import Float32, Float64, Int32, UInt8
from upath import UPath
from zarr.errors import ArrayNotFoundError, GroupNotFoundError, NodeNotFoundError
from zarr.storage import FsspecStore, LocalStore

from physkit.core.errors import InputError
from physkit.core.files import visible
from physkit.core.naming import natural_order
from physkit.core.registry import unknown_name
from physkit.core.types import Pulse
from physkit.data import whole
from physkit.data.recording import Condition

AnyArray = zarr.Array[Any]

FORMAT = "physkit-store"
VERSION = 1
COLUMN_PREFIX = "label_"
"""Arrays so called hold what else the contact sensor measured, at the pulse's times."""
NEEDED = ("frames", "timestamps_s", "box", "confidence", "segment", "pulse", "pulse_timestamps_s")
"""Arrays of every recording."""
FEATURES, VALUES = "features", "values"
"""Group of a recording's cached features, and the array of each."""
GROUP_FILE = whole.GROUP_FILE
"""The file that makes a folder a Zarr group."""
NO_SEGMENT = whole.NO_SEGMENT
"""Segment number of a frame without a face."""
SHOWN_FILES = 3
"""How many lost files an error names."""


@dataclass(frozen=True, eq=False)
class StoredRecording:
    """One prepared recording; arrays are read when asked for.

    Raises InputError where an array or an attribute is missing or damaged.
    """

    place: str
    """Store and recording, for errors."""
    name: str
    """Name of the recording."""
    group: zarr.Group
    """Its Zarr group."""
    folder: Path | UPath
    """Where it lies."""

    @cached_property
    def attributes(self) -> Mapping[str, Any]:
        """Data set, subject, session, conditions, source and preparation settings."""
        return {name: value for name, value in self.group.attrs.items() if name != whole.FILES}

    def check_files(self) -> None:
        """Raises InputError where a file is missing, or a chunk that was changed is damaged."""
        self._refuse(self._listed(whole.damaged_files))

    @cached_property
    def _lost(self) -> list[str]:
        """Missing files, by one listing for all that is read."""
        return self._listed(whole.lost_files)

    def _listed(self, look: Callable[[Path | UPath, zarr.Group], list[str]]) -> list[str]:
        try:
            return look(self.folder, self.group)
        except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
            raise self._damaged("frames", error) from error

    def _refuse(self, files: list[str]) -> None:
        if not files:
            return
        arrays = dict.fromkeys(file.split("/")[0] for file in files)
        shown = ", ".join(files[:SHOWN_FILES])
        more = f" and {len(files) - SHOWN_FILES} more" if files[SHOWN_FILES:] else ""
        raise InputError(
            f"{self.place}: '{', '.join(arrays)}' is missing or damaged ({shown}{more}); run "
            "physkit prep again, or copy the recording anew"
        )

    @property
    def store(self) -> str:
        """Path or address of its store."""
        return self.place.removesuffix(f"/{self.name}")

    @property
    def dataset(self) -> str:
        """Data set it comes from."""
        return str(self._attribute("dataset"))

    @property
    def subject(self) -> str:
        """The person."""
        return str(self._attribute("subject"))

    @property
    def session(self) -> str:
        """Which of the person's recordings."""
        return str(self._attribute("session"))

    @property
    def conditions(self) -> Mapping[str, Condition]:
        """Condition columns."""
        conditions: Mapping[str, Condition] = self._attribute("conditions")
        if not isinstance(conditions, Mapping):
            raise self._damaged("conditions", "not values by name")
        return conditions

    @property
    def parameters(self) -> Mapping[str, Condition]:
        """What a drawn recording was drawn from; of real ones nothing."""
        parameters: Mapping[str, Condition] = self.attributes.get("parameters", {})
        if not isinstance(parameters, Mapping):
            raise self._damaged("parameters", "not values by name")
        return parameters

    @property
    def settings(self) -> Mapping[str, Any]:
        """How it was prepared."""
        settings: Mapping[str, Any] = self._attribute("settings")
        return settings

    @cached_property
    def n_frames(self) -> int:
        """How many frames it has."""
        return int(self._frames.shape[0])

    @cached_property
    def size_px(self) -> int:
        """Side of its square crops."""
        return int(self._frames.shape[1])

    @cached_property
    def _frames(self) -> AnyArray:
        array = self._array("frames")
        if array.ndim != 4:
            raise self._damaged("frames", f"{array.ndim} axes, not 4")
        return array

    def frames(self, start: int = 0, stop: int | None = None) -> UInt8[np.ndarray, "t h w 3"]:
        """RGB crops from `start` up to `stop`; only the chunks that hold them are read.

        A frame without a face is black.
        """
        try:
            return np.asarray(self._frames[start:stop])
        except (OSError, ValueError, RuntimeError) as error:
            raise self._damaged("frames", error) from error

    @cached_property
    def timestamps_s(self) -> Float64[np.ndarray, "t"]:
        """Presentation time of each frame in seconds; the first is 0."""
        timestamps_s: Float64[np.ndarray, "t"] = self._read("timestamps_s", self.n_frames)
        return timestamps_s

    @cached_property
    def pulse(self) -> Pulse:
        """Contact pulse at its own rate, on the clock of the frames."""
        samples = self._read("pulse").astype(np.float64)
        return Pulse(samples, self._read("pulse_timestamps_s", len(samples)))

    @cached_property
    def boxes(self) -> Float32[np.ndarray, "t 4"]:
        """Face of each frame: x, y, width, height in pixels of the video; NaN without a face."""
        box: Float32[np.ndarray, "t 4"] = self._read("box", self.n_frames)
        return box

    @cached_property
    def confidence(self) -> Float32[np.ndarray, "t"]:
        """Confidence of the face in each frame; 0 without one."""
        confidence: Float32[np.ndarray, "t"] = self._read("confidence", self.n_frames)
        return confidence

    @cached_property
    def segments(self) -> Int32[np.ndarray, "t"]:
        """Number of the unbroken stretch of one face in each frame; -1 without a face."""
        segment: Int32[np.ndarray, "t"] = self._read("segment", self.n_frames)
        return segment

    @cached_property
    def columns(self) -> Mapping[str, Float32[np.ndarray, "n"]]:
        """What else was measured at the pulse's times, by name with its unit."""
        names = [name for name in self.group.array_keys() if name.startswith(COLUMN_PREFIX)]
        return {name.removeprefix(COLUMN_PREFIX): self._read(name) for name in sorted(names)}

    def has_feature(self, name: str) -> bool:
        """Whether a feature called so is cached."""
        return f"{FEATURES}/{name}/{VALUES}" in self.group

    def has_whole_feature(self, name: str) -> bool:
        """Whether such a feature was written to its end, with a row for each frame."""
        if not self.has_feature(name):
            return False
        array = self._array(f"{FEATURES}/{name}/{VALUES}")
        is_whole: bool = array.nchunks_initialized == array.nchunks
        return is_whole and array.shape[0] == self.n_frames

    def feature(self, name: str, frames: slice) -> np.ndarray:
        """Rows of the cached feature called so, one a frame.

        Raises InputError where the recording has no such cache.
        """
        path = f"{FEATURES}/{name}/{VALUES}"
        if name not in self._whole_features and not self.has_feature(name):
            raise InputError(
                f"{self.place}: has no cached '{name}', which the model reads beside frames; make "
                "it first by physkit features with this model and this store"
            )
        array = self._array(path)
        if name not in self._whole_features and not self.has_whole_feature(name):
            raise InputError(
                f"{self.place}: parts of {path} are missing; make it anew by physkit features"
            )
        self._whole_features.add(name)
        try:
            return np.asarray(array[frames])
        except (OSError, ValueError, RuntimeError) as error:
            raise self._damaged(path, error) from error

    @cached_property
    def _whole_features(self) -> set[str]:
        """Names of those whose chunks are known to be there."""
        return set()

    def _attribute(self, name: str) -> Any:
        try:
            return self.attributes[name]
        except KeyError as error:
            raise self._damaged(name, "no such attribute") from error

    def _read(self, name: str, length: int | None = None) -> Any:
        """All of an array, which has to be as long as that."""
        array = self._array(name)
        if length is not None and array.shape[0] != length:
            raise self._damaged(name, f"{array.shape[0]} values, not {length}")
        try:
            return np.asarray(array[:])
        except (OSError, ValueError, RuntimeError) as error:
            raise self._damaged(name, error) from error

    def length(self, name: str) -> int:
        """How many values an array has along its first axis, by its description alone."""
        return int(self._array(name).shape[0])

    def _array(self, name: str) -> AnyArray:
        self._refuse(self._lost)
        try:
            array = self.group[name]
        except (KeyError, OSError, ValueError, TypeError) as error:
            raise self._damaged(name, error) from error
        if not isinstance(array, zarr.Array) or not array.ndim:
            raise self._damaged(name, "not an array")
        return array

    def _damaged(self, name: str, reason: object) -> InputError:
        return InputError(
            f"{self.place}: '{name}' is missing or damaged ({reason}); "
            "remove the recording's folder and run physkit prep again"
        )


class Store(Mapping[str, StoredRecording]):
    """Prepared recordings by name, in natural order. Opened by `open_store`."""

    def __init__(self, path: UPath | Path, group: zarr.Group) -> None:
        self.path = path
        self._group = group
        self.dataset = str(group.attrs["dataset"])

    def __repr__(self) -> str:
        return f"<store {self.path}: {len(self)} recordings of {self.dataset}>"

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of the recordings that are published."""
        return tuple(name for name, is_published in self._folders.items() if is_published)

    @cached_property
    def partial(self) -> tuple[str, ...]:
        """Names of those that are there in part, as a copy or a killed preparation leaves them."""
        parts = (name for name, is_published in self._folders.items() if not is_published)
        return tuple(p for p in parts if any((self.path / p / name).exists() for name in NEEDED))

    @cached_property
    def _folders(self) -> dict[str, bool]:
        """Folders in natural order, and whether each is a group."""
        # not by Zarr, which reads all there is and stops at the first damaged file
        found = {entry.name: (entry / GROUP_FILE).exists() for entry in visible(self.path)}
        return {name: found[name] for name in sorted(found, key=natural_order)}

    def __getitem__(self, name: str) -> StoredRecording:
        if name not in self.names:
            raise unknown_name(f"recording in {self.path}:", name, self.names)
        place = f"{self.path}/{name}"
        try:
            group = self._group[name]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"{place}: damaged ({error}); remove that folder and run physkit prep again"
            ) from error
        if not isinstance(group, zarr.Group):
            raise InputError(f"{place}: not a recording; remove it")
        return StoredRecording(place, name, group, self.path / name)

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)

    @property
    def subjects(self) -> tuple[str, ...]:
        """The people in it, in natural order."""
        return tuple(sorted({r.subject for r in self.values()}, key=natural_order))


def open_store(path: str | Path | UPath) -> Store:
    """The store at a path or an fsspec address (`s3://...`), to read.

    Raises InputError where there is none.
    """
    where = store_path(path)
    try:
        group = zarr.open_group(zarr_store(where, read_only=True), mode="r", zarr_format=3)
        attributes = group.attrs.asdict()
    except (GroupNotFoundError, ArrayNotFoundError, NodeNotFoundError, FileNotFoundError) as error:
        raise InputError(
            f"{path}: no store there; make one by physkit prep --dataset NAME --raw DIR --out STORE"
        ) from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: not a readable store ({error}); make it anew") from error
    if attributes.get("format") != FORMAT:
        raise InputError(f"{path}: a Zarr group, but none that physkit prep wrote; give another")
    if attributes.get("version") != VERSION:
        raise InputError(
            f"{path}: a store of version {attributes.get('version')}, this physkit reads "
            f"{VERSION}; make it anew by physkit prep"
        )
    return Store(where, group)


def store_path(path: str | Path | UPath) -> UPath | Path:
    """A path that may lie on object storage: a plain Path where it is local.

    Raises InputError for an address of an unknown kind, or one that does not answer.
    """
    try:
        where = UPath(path)
        if where.protocol in ("", "file", "local"):
            return Path(where.path)
        where.fs.info(where.path)
    except OSError:
        return where  # missing or forbidden: whoever uses it raises the error
    except Exception as error:  # each kind of storage has errors of its own
        raise InputError(
            f"{path}: cannot be reached ({error}); check the address, what it needs to be "
            "installed (physkit[s3] for s3://), and your credentials"
        ) from error
    return where


def zarr_store(path: UPath | Path, *, read_only: bool) -> LocalStore | FsspecStore:
    """Zarr's own view of a place."""
    if isinstance(path, UPath):
        options = dict(path.storage_options)
        return FsspecStore.from_url(str(path), storage_options=options, read_only=read_only)
    return LocalStore(path, read_only=read_only)
