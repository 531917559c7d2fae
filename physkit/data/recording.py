"""What a reader knows of one recording of a raw data set."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Float

from physkit.core.errors import InputError
from physkit.core.files import below
from physkit.core.types import Pulse

Condition = str | float | int | bool
"""Value of a condition column."""

SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
"""What a recording may be called: it becomes a folder of the store."""


@dataclass(frozen=True)
class Recording:
    """Where one recording lies, and whom and what it shows. Opens nothing; can be pickled.

    Raises InputError for a name that cannot be a folder's.
    """

    dataset: str
    """Name of its reader in `READERS`."""
    name: str
    """Unique within the data set; letters, digits, `_`, `-` and `.`."""
    subject: str
    """The person, as the data set calls them; the same person has the same name throughout."""
    session: str
    """Which of the person's recordings."""
    root: Path
    """Folder of the raw data set."""
    files: tuple[str, ...]
    """Files and folders it is made of, relative to `root` with forward slashes; some may lack."""
    conditions: Mapping[str, Condition] = field(default_factory=dict)
    """Light, motion, skin colour and the like, by column."""
    parameters: Mapping[str, Condition] = field(default_factory=dict)
    """What a drawn recording was drawn from, and its seed; of real ones nothing."""
    unknown: tuple[str, ...] = ()
    """Conditions that the files state in a way that cannot be read; one sentence each."""

    def __post_init__(self) -> None:
        if not SAFE_NAME.fullmatch(self.name):
            raise InputError(f"{self.root}: no usable recording name: {self.name!r}; rename it")

    @property
    def is_complete(self) -> bool:
        """Whether all its files are there, readable or not."""
        return all((self.root / file).exists() for file in self.files)

    def path(self, file: str) -> Path:
        """One of its files; raises InputError for a name that leads out of the root.

        A link may: people keep their data on other disks.
        """
        return below(self.root, file)


@dataclass(frozen=True, eq=False)
class Label:
    """What a contact sensor measured, on its own clock."""

    pulse: Pulse
    """Contact pulse; its times are seconds since the first video frame, and may begin below 0."""
    columns: Mapping[str, Float[np.ndarray, "t"]] = field(default_factory=dict)
    """What else was measured at the same moments, with units in the names: `heart_rate_bpm`,
    `spo2_percent`, `respiration`, `signal_quality`."""
    warnings: tuple[str, ...] = ()
    """What was mended in reading it, for the user to know."""
