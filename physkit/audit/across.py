"""Checks that compare recordings with each other."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import xxhash
from jaxtyping import Float

from physkit.audit.evidence import Audited, with_lag
from physkit.core.differences import differences
from physkit.core.errors import InputError
from physkit.data.checks import check_rate
from physkit.data.findings import Finding
from physkit.data.recording import Recording
from physkit.prepare.source import list_files
from physkit.signal.lag import LagConfig, LagEstimate

ENOUGH_TO_COMPARE = 3
"""Fewer recordings have no usual rate or lag."""
SAME_LAG_S = 0.05
"""Spread of the lags within one data set."""
LAG_STEP_S = 0.01
"""Step in which the usual lag is looked for."""
ODD_ONE_OUT = 3.0
"""Standard errors that it counts when a recording has a lag of its own."""
SURE = 2.0
"""Standard errors by which a lag must fit better than another to leave no doubt."""
MIN_FILE_BYTES = 64
"""Smaller files may be equal by chance: a note, a list of markers."""
SAMPLE_BYTES = 1 << 16
"""What is read of a file to see that it is not another's copy."""


def check_rates(audited: Sequence[Audited]) -> list[Finding]:
    """Frame and label rates unlike those of most recordings."""
    findings = []
    for check, field in (("frame-rate", "fps"), ("label-rate", "label_rate_hz")):
        rates = {a.summary.recording: getattr(a.summary, field) for a in audited}
        known = {name: rate for name, rate in rates.items() if rate}
        if len(known) < ENOUGH_TO_COMPARE:
            continue
        usual_hz = float(np.median(list(known.values())))
        for name, rate_hz in known.items():
            found = check_rate(check, rate_hz, usual_hz)
            findings += [replace(finding, recording=name) for finding in found]
    return findings


def settle_lags(audited: Sequence[Audited]) -> list[Audited]:
    """Every recording with one of its possible lags: the likeliest, beside the others'.

    A late label is mostly late by the same time in a whole data set. One recording cannot tell a
    lag from one that is a beat longer; many can, since heart rates differ.
    """
    known = [a.lags for a in audited if a.lags and a.lags[0].lag_s is not None]
    usual_s = _usual_lag_s(known) if len(known) >= ENOUGH_TO_COMPARE else None
    return [_settled(a, usual_s) if a.lags else a for a in audited]


def _settled(audited: Audited, usual_s: float | None) -> Audited:
    order = list(audited.lags)
    if usual_s is not None:
        usual = np.array([usual_s])
        order.sort(key=lambda lag: float(_unlikeliness([lag], usual)[0]))
    fits = max(order[0].doubt, SURE)
    rivals = [lag.lag_s for lag in order[1:] if lag.doubt < fits]
    return with_lag(audited, order[0], rivals[0] if rivals else None)


def _usual_lag_s(known: Sequence[Sequence[LagEstimate]]) -> float:
    """The lag that most recordings can have, the smaller where two are as likely."""
    config = LagConfig()
    lags_s = np.arange(-config.max_lag_s, config.max_lag_s, LAG_STEP_S)
    total = (lags_s / config.usual_lag_s) ** 2
    for lags in known:
        total = total + _unlikeliness(lags, lags_s)
    return float(lags_s[np.argmin(total)])


def _unlikeliness(
    lags: Sequence[LagEstimate], usual_s: Float[np.ndarray, "u"]
) -> Float[np.ndarray, "u"]:
    """How unlikely it is that a recording has one of these lags where others have the usual one."""
    lags_s = np.array([lag.lag_s or 0.0 for lag in lags])[:, None]
    doubts = np.array([lag.doubt if lag.lag_s is not None else 0.0 for lag in lags])[:, None]
    like_the_others = ((lags_s - usual_s) / SAME_LAG_S) ** 2
    of_its_own = ODD_ONE_OUT**2 + (lags_s / LagConfig().usual_lag_s) ** 2
    # squares, as Gaussian odds add up
    return np.asarray((doubts**2 + np.minimum(like_the_others, of_its_own)).min(axis=0))


@dataclass(frozen=True)
class DuplicatePair:
    """Two recordings with equal contents."""

    first: str
    """Name of one."""
    second: str
    """Name of the other, which is reported."""
    message: str
    """What they share."""

    @property
    def finding(self) -> Finding:
        """As a finding of the second recording."""
        return Finding("duplicate", "warning", self.message, {}, self.second)


def check_labels(audited: Sequence[Audited], copies: Sequence[DuplicatePair]) -> list[Finding]:
    """Labels that two recordings share. copies: those that are known to share files."""
    known = {(pair.first, pair.second) for pair in copies}
    findings = []
    for names in _alike((a.summary.recording, a.label_digest) for a in audited):
        for first, second in pairwise(names):
            if (first, second) not in known:
                message = f"its label is that of {first}"
                findings.append(Finding("duplicate-label", "warning", message, {}, second))
    return findings


def find_same_contents(audited: Sequence[Audited]) -> list[DuplicatePair]:
    """Prepared recordings that were made of the same raw files."""
    return [
        DuplicatePair(first, second, f"made of the same files as {first}")
        for names in _alike((a.summary.recording, a.contents_digest) for a in audited)
        for first, second in pairwise(names)
    ]


def find_same_files(recordings: Sequence[Recording]) -> list[DuplicatePair]:
    """Recordings with a file, or a folder of them, that is byte for byte another one's."""
    entries = [_entry(recording, file) for recording in recordings for file in recording.files]
    readable = [entry for entry in entries if entry and entry.n_bytes >= MIN_FILE_BYTES]
    shared: dict[tuple[str, str], list[str]] = defaultdict(list)
    # files of unique sizes are not read; those that differ in a sample are not read to the end
    for same_size in _groups(readable, lambda entry: entry.sizes):
        for alike in _groups(same_size, lambda entry: entry.digest(whole=False)):
            for equal in _groups(alike, lambda entry: entry.digest(whole=True)):
                for first, second in pairwise(equal):
                    shared[first.recording, second.recording].append(second.file)
    return [
        DuplicatePair(first, second, f"{' and '.join(files)}: byte for byte what {first} has")
        for (first, second), files in shared.items()
        if first != second
    ]


def check_settings(settings: Mapping[str, Mapping[str, Any]]) -> list[Finding]:
    """Recordings of a store that were prepared otherwise than most. settings: by recording."""
    groups: dict[str, list[str]] = defaultdict(list)
    for name, values in settings.items():
        groups[repr(sorted(values.items()))].append(name)
    usual = max(groups.values(), key=len, default=[])
    findings = []
    for name, values in settings.items():
        if name not in usual:
            changes = "; ".join(differences(settings[usual[0]], values))
            message = f"prepared by other settings than most: {changes}"
            findings.append(Finding("mixed-settings", "warning", message, {}, name))
    return findings


class _Entry:
    """A file or folder of a recording."""

    def __init__(self, recording: Recording, file: str) -> None:
        self.recording, self.file = recording.name, file
        listing = list_files(replace(recording, files=(file,)))
        self.paths = [recording.root / name for name in listing.sizes]
        self.sizes = tuple(listing.sizes.values())
        self.n_bytes = listing.n_bytes

    def digest(self, *, whole: bool) -> str:
        """Checksum of the contents, or of three samples of them."""
        hasher = xxhash.xxh3_128()
        try:
            for path in self.paths if whole else self.paths[:: max(len(self.paths) // 3, 1)]:
                for block in _blocks(path, whole=whole):
                    hasher.update(block)
        except OSError:
            return f"{self.recording}/{self.file}"  # unreadable: reported elsewhere
        return hasher.hexdigest()


def _entry(recording: Recording, file: str) -> _Entry | None:
    """A file of a recording; None where it leads elsewhere or cannot be listed."""
    try:
        return _Entry(recording, file)
    except (InputError, OSError):
        return None


def _blocks(path: Path, *, whole: bool) -> Iterator[bytes]:
    size = path.stat().st_size
    starts = range(0, size, SAMPLE_BYTES) if whole else (0, size // 2, max(size - SAMPLE_BYTES, 0))
    with path.open("rb") as file:
        for start in starts:
            file.seek(start)
            yield file.read(SAMPLE_BYTES)


def _groups(entries: Iterable[_Entry], key: Any) -> list[list[_Entry]]:
    """Entries that share a key, where there are several."""
    groups: dict[Any, list[_Entry]] = defaultdict(list)
    for entry in entries:
        groups[key(entry)].append(entry)
    return [group for group in groups.values() if len(group) > 1]


def _alike(digests: Iterable[tuple[str, str | None]]) -> list[list[str]]:
    """Names that share a checksum, where there are several."""
    groups: dict[str, list[str]] = defaultdict(list)
    for name, digest in digests:
        if digest is not None:
            groups[digest].append(name)
    return [names for names in groups.values() if len(names) > 1]
