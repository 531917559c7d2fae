"""`physkit audit`: what is wrong with a raw data set or a store."""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from physkit.core.config import from_options
from physkit.core.errors import InputError
from physkit.core.registry import unknown_name
from physkit.data.readers import READERS
from physkit.face.config import FaceConfig

if TYPE_CHECKING:
    from physkit.audit.evidence import Audited
    from physkit.audit.result import AuditResult
    from physkit.audit.tasks import AuditTask
    from physkit.data.findings import Finding

MOST_WORKERS = 8
"""With more, the disk is the limit."""
NOT_SEEN_QUICKLY = {
    "raw": (
        "frames (damage within a video, their times, faces)",
        "lag and clock drift (need the frames)",
        "copies (need all bytes)",
    ),
    "store": ("crops, lag and clock drift",),
}


@dataclass(frozen=True)
class AuditConfig:
    """Looks for every known trap in a raw data set or a store, and says what to do about each."""

    path: str
    """Folder of a raw data set, or a store (folder or address)."""
    dataset: str | None = None
    """Data set of a raw folder, where it cannot be told from its files: {registry data set}."""
    strict: bool = False
    """End with status 1 where a warning or an error was found."""
    quick: bool = False
    """Decode no frames: read labels, containers and names only."""
    face: FaceConfig = field(default_factory=FaceConfig)
    """How faces are found."""
    workers: int | None = None
    """Recordings looked at at once; by default one a core, 8 at most."""

    def __post_init__(self) -> None:
        for option in ("path", "dataset"):
            if getattr(self, option) == "":
                raise InputError(f"--{option}: empty; leave it out or give a value")
        if self.dataset is not None and self.dataset not in READERS:
            raise unknown_name("data set", self.dataset, READERS)
        if self.workers is not None and self.workers < 1:
            raise InputError(f"--workers {self.workers}: must be at least 1")


def audit(path: str | Path, **options: Any) -> "AuditResult":
    """What is wrong with the raw data set or store at `path`; options as in `AuditConfig`.

    What is wrong with a recording is in the result's findings. Raises PhyskitError where there is
    nothing to audit, or an option cannot be used.
    """
    return run(from_options(AuditConfig, path=str(path), **options))


def run(config: AuditConfig, *, progress: bool = False) -> "AuditResult":
    """Do what `physkit audit` does. progress: show a bar on a terminal's standard error."""
    from physkit.runtime.torch_cpu import torch_threads

    # one thread for each recording; a quick audit does not even import torch
    with nullcontext() if config.quick else torch_threads(1):
        if _is_store(config.path):
            return _audit_store(config, progress=progress)
        return _audit_raw(config, progress=progress)


def _is_store(path: str) -> bool:
    from physkit.data.store import GROUP_FILE, store_path

    place = store_path(path)
    return not isinstance(place, Path) or place.suffix == ".zarr" or (place / GROUP_FILE).exists()


def _audit_raw(config: AuditConfig, *, progress: bool) -> "AuditResult":
    from physkit.audit.across import check_labels, find_same_files
    from physkit.audit.places import check_strays, find_tree
    from physkit.audit.raw import RawTask

    detector, weights = _chosen_detector(config)
    root = Path(config.path)
    dataset, tree = find_tree(root, config.dataset)
    tasks = [RawTask(recording, config.quick, detector, weights) for recording in tree.recordings]
    audited = _work(config, tasks, progress=progress)
    copies = [] if config.quick else find_same_files(tree.recordings)
    found = [copy.finding for copy in copies]
    found += [*check_labels(audited, copies), *check_strays(root, tree.strays)]
    return _result(config, "raw", dataset, audited, found)


def _audit_store(config: AuditConfig, *, progress: bool) -> "AuditResult":
    from physkit.audit.across import check_labels, check_settings, find_same_contents
    from physkit.audit.places import check_leftovers
    from physkit.audit.stored import StoredTask
    from physkit.data.store import open_store

    store = open_store(config.path)
    if not store.names:
        raise InputError(f"{config.path}: holds no recordings; fill it by physkit prep")
    tasks = [StoredTask(config.path, name, config.quick) for name in store.names]
    audited = _work(config, tasks, progress=progress)
    copies = find_same_contents(audited)
    found = [copy.finding for copy in copies]
    settings = {a.summary.recording: a.settings for a in audited if a.settings is not None}
    found += [*check_labels(audited, copies), *check_settings(settings), *check_leftovers(store)]
    return _result(config, "store", store.dataset, audited, found)


def _chosen_detector(config: AuditConfig) -> tuple[str, str | None]:
    """The detector and its model file; raises WeightsError where it cannot be used."""
    from physkit.inference.crops import make_tracker

    _, detector = make_tracker(config.face)
    return detector, config.face.weights


def _work(config: AuditConfig, tasks: "Sequence[AuditTask]", *, progress: bool) -> "list[Audited]":
    """All recordings, with a bar."""
    from physkit.audit.across import settle_lags
    from physkit.audit.tasks import audit_all
    from physkit.core.progress import ProgressBar
    from physkit.core.workers import n_cores

    workers = config.workers or min(n_cores(), MOST_WORKERS)
    answers = audit_all(tasks, workers=workers)
    bar = ProgressBar(answers, total=len(tasks), unit="recording", shown=progress)
    return settle_lags([audited for _, audited in sorted(bar, key=itemgetter(0))])


def _result(
    config: AuditConfig,
    kind: Literal["raw", "store"],
    dataset: str,
    audited: "list[Audited]",
    found: "list[Finding]",
) -> "AuditResult":
    """Findings in order, each recording's worst beside its figures."""
    from physkit.audit.across import check_rates
    from physkit.audit.result import AuditResult
    from physkit.data.findings import SEVERITIES

    names = [a.summary.recording for a in audited]
    findings = [f for a in audited for f in a.findings] + check_rates(audited) + found
    last = len(names)
    findings.sort(
        key=lambda f: (
            names.index(f.recording) if f.recording in names else last,
            SEVERITIES.index(f.severity),
        )
    )
    summaries = []
    for name, a in zip(names, audited, strict=True):
        own = [SEVERITIES.index(f.severity) for f in findings if f.recording == name]
        summaries.append(replace(a.summary, worst=SEVERITIES[min(own)] if own else None))
    return AuditResult(
        path=config.path,
        kind=kind,
        dataset=dataset,
        recordings=tuple(summaries),
        findings=tuple(findings),
        not_checked=NOT_SEEN_QUICKLY[kind] if config.quick else (),
        strict=config.strict,
    )
