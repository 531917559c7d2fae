"""`physkit prep`: a raw data set becomes a store, resumably."""

import contextlib
import dataclasses
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from physkit.core.config import Names, from_options
from physkit.core.errors import InputError, PhyskitError
from physkit.core.files import missing
from physkit.core.registry import unknown_name
from physkit.data.readers import READERS
from physkit.face.config import AUTO, FaceConfig
from physkit.face.detect import DETECTORS
from physkit.prepare.engines import ENGINES

if TYPE_CHECKING:
    from upath import UPath

    from physkit.data.readers.base import RawTree
    from physkit.data.recording import Recording
    from physkit.prepare.plan import PreparePlan
    from physkit.prepare.result import PrepareResult
    from physkit.prepare.work import Outcome


@dataclass(frozen=True)
class PrepareConfig:
    """Prepares a raw data set into a store: face crops with true times, and the label.

    A second run does what is missing, and what was prepared by other settings or from other files.
    """

    dataset: str
    """Data set: {registry data set}."""
    raw: str
    """Folder of the raw data set, or its address as fsspec knows it (s3://...)."""
    out: str
    """Store to write or go on with, such as ubfc.zarr; a folder, or an address like --raw."""
    face: FaceConfig = field(default_factory=lambda: FaceConfig("haar"))
    """How faces are found. The detector is named, never chosen: a store must not depend on what was
    pulled."""
    size: int = 36
    """Side of the square face crops in pixels."""
    workers: int | None = None
    """Recordings worked on at once, fewer where memory is short; by default one a core."""
    engine: str = "local"
    """local, processes of this computer; ray, a Ray cluster; or serial, this very process."""
    ray_address: str | None = None
    """Ray cluster to join, such as auto or ray://host:10001; by default one of this computer."""
    only: Names | None = None
    """Names of the recordings to prepare, as in a,b; by default all."""
    verify: bool = False
    """Compare checksums of the raw files too, not only their names, sizes and dates."""

    def __post_init__(self) -> None:
        for option in ("raw", "out"):
            if getattr(self, option) == "":
                raise InputError(f"--{option}: empty; give a path")
        for kind, name, known in (
            ("data set", self.dataset, READERS),
            ("engine", self.engine, ENGINES),
        ):
            if name not in known:
                raise unknown_name(kind, name, known)
        if self.face.detector == AUTO:
            raise InputError(
                f"--face.detector auto: name one of {', '.join(DETECTORS)}; a store must "
                "not depend on what was pulled"
            )
        if self.size < 1:
            raise InputError(f"--size {self.size}: must be at least 1 pixel")
        if self.workers is not None and self.workers < 1:
            raise InputError(f"--workers {self.workers}: must be at least 1")
        if self.ray_address is not None and self.engine != "ray":
            raise InputError("--ray_address: only for --engine ray; give both or neither")


def prepare(
    *, dataset: str, raw: "str | Path | UPath", out: "str | Path | UPath", **options: Any
) -> "PrepareResult":
    """A raw data set to a store; options are the other fields of `PrepareConfig`.

    What goes wrong with one recording is in the result's `failed`. Raises PhyskitError where the
    raw data, the store or an option cannot be used at all.
    """
    config = from_options(PrepareConfig, dataset=dataset, raw=str(raw), out=str(out), **options)
    return _prepare(config, raw, out, progress=False)


def run(config: PrepareConfig, *, progress: bool = False) -> "PrepareResult":
    """Do what `physkit prep` does. progress: show a bar on a terminal's standard error."""
    return _prepare(config, config.raw, config.out, progress=progress)


def _prepare(
    config: PrepareConfig, raw: "str | Path | UPath", out: "str | Path | UPath", *, progress: bool
) -> "PrepareResult":
    # imported here: the command line reads this module for its options only
    from physkit.core.workers import n_cores
    from physkit.data.store import store_path
    from physkit.data.store_writer import create_store, writing
    from physkit.prepare.plan import make_plan
    from physkit.prepare.progress import shown
    from physkit.prepare.settings import choose_crop_settings, stored_settings

    crop = choose_crop_settings(config.face, size_px=config.size)
    settings = stored_settings(crop)
    run_tasks = ENGINES[config.engine]
    place = store_path(out)
    with _raw_tree(config.dataset, raw) as (tree, origin), writing(place):
        recordings = tree.recordings
        chosen = _chosen(config, recordings)
        store = create_store(place, dataset=config.dataset)
        plan = make_plan(
            chosen, store, crop=crop, settings=settings, origin=origin, verify=config.verify
        )
        workers, notes = choose_workers(config, len(plan.tasks))
        threads = 0 if workers == 1 else max(1, n_cores() // workers)
        tasks = [dataclasses.replace(task, decode_threads=threads) for task in plan.tasks]
        start_s = time.monotonic()
        cluster = {} if config.ray_address is None else {"ray_address": config.ray_address}
        with contextlib.closing(run_tasks(tasks, workers=workers, **cluster)) as events:
            outcomes = list(shown(events, tasks, enabled=progress))
        duration_s = time.monotonic() - start_s
    in_raw = {recording.name for recording in recordings}
    not_in_raw = tuple(name for name in store.names if name not in in_raw)
    return _result(
        config,
        plan,
        outcomes,
        dead_links=tree.dead_links if config.only is None else (),
        not_in_raw=not_in_raw,
        notes=notes,
        workers=workers,
        duration_s=duration_s,
    )


@contextlib.contextmanager
def _raw_tree(dataset: str, raw: "str | Path | UPath") -> "Iterator[tuple[RawTree, UPath | None]]":
    """The raw tree, and where their files are to be fetched from; None where they are here."""
    from physkit.data.store import store_path
    from physkit.prepare.remote import outline

    place, reader = store_path(raw), READERS[dataset]()
    if isinstance(place, Path):
        yield reader.find(place.absolute()), None
        return
    with outline(place) as root:
        try:
            tree = reader.find(root)
        except PhyskitError as error:
            raise type(error)(str(error).replace(str(root), str(place))) from error
        yield tree, place


def _chosen(config: PrepareConfig, recordings: "Sequence[Recording]") -> "list[Recording]":
    """The recordings that --only names. Raises UnknownNameError where there is no such."""
    known = [recording.name for recording in recordings]
    chosen = known if config.only is None else config.only
    for name in chosen:
        if name not in known:
            raise unknown_name(f"recording in {config.raw}:", name, known)
    return [recording for recording in recordings if recording.name in chosen]


def choose_workers(config: PrepareConfig, n_tasks: int) -> tuple[int, tuple[str, ...]]:
    """How many recordings to work on at once, and notes for the user about that choice."""
    from physkit.core import machine
    from physkit.core.workers import n_cores

    wanted = config.workers or n_cores()
    if config.engine == "serial":
        wanted = 1
    if config.ray_address is not None:  # the cluster knows its own memory
        return wanted, ()
    room_mb = machine.available_mb()
    fitting = max(1, int(room_mb // machine.WORKER_MB))
    notes: tuple[str, ...] = ()
    if min(wanted, n_tasks) > fitting:
        needs = f"each may need {machine.WORKER_MB} MB and {room_mb:.0f} MB are free"
        notes = (f"{fitting} workers instead of {wanted}: {needs}",)
    return max(1, min(wanted, fitting, n_tasks)), notes


def _result(
    config: PrepareConfig,
    plan: "PreparePlan",
    outcomes: "list[Outcome]",
    *,
    dead_links: tuple[Path, ...],
    not_in_raw: tuple[str, ...],
    notes: tuple[str, ...],
    workers: int,
    duration_s: float,
) -> "PrepareResult":
    from physkit.prepare.result import Failure, PrepareResult

    order = {task.recording.name: index for index, task in enumerate(plan.tasks)}
    outcomes = sorted(outcomes, key=lambda outcome: order[outcome.name])
    done = [o for o in outcomes if o.failure is None and not o.is_unchanged]
    return PrepareResult(
        dataset=config.dataset,
        out=config.out,
        done=tuple(outcome.name for outcome in done),
        skipped=(*plan.up_to_date, *(o.name for o in outcomes if o.is_unchanged)),
        failed=(
            *(Failure(o.name, o.failure) for o in outcomes if o.failure is not None),
            *(Failure(path.name, str(missing(path, ""))) for path in dead_links),
        ),
        not_in_raw=not_in_raw,
        redone=plan.reasons,
        warnings={outcome.name: outcome.warnings for outcome in done if outcome.warnings},
        notes=notes,
        engine=config.engine,
        workers=workers,
        n_frames=sum(outcome.n_frames for outcome in done),
        duration_s=duration_s,
        peak_rss_mb=max((o.peak_rss_mb for o in outcomes), default=None),
    )
