"""A Ray cluster: of this computer, or one that is there already."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import ray
from ray.exceptions import RayError, RayTaskError

from physkit.core.errors import InputError
from physkit.pipelines.prepare.engines.base import Crew
from physkit.pipelines.prepare.work import Outcome, Progress, Task, work

RETRIES = 3
"""How often Ray may lose a worker with the same recording."""


def run_on_ray(tasks: Sequence[Task], crew: Crew) -> Iterator[Progress | Outcome]:
    """Does all tasks as remote tasks of one core each; what a lost worker was doing is done again.

    Raises InputError where the cluster cannot be reached.
    """
    if not tasks:
        return
    with _cluster(crew):
        remote = ray.remote(num_cpus=1, max_retries=RETRIES)(_outcome)
        pending = {remote.remote(task): task for task in tasks}
        while pending:
            (reference,), _ = ray.wait(list(pending), num_returns=1)
            task = pending.pop(reference)
            try:
                yield ray.get(reference)
            except RayError as error:
                yield Outcome(task.recording.name, failure=_told(error))


def _outcome(task: Task) -> Outcome:
    outcome = Outcome(task.recording.name)
    for event in work(task):
        if isinstance(event, Outcome):
            outcome = event
    return outcome


@contextmanager
def _cluster(crew: Crew) -> Iterator[None]:
    """Joins or starts a cluster, and leaves it; one that the caller has joined is used and kept."""
    if ray.is_initialized():
        yield
        return
    try:
        if crew.ray_address is None:
            ray.init(
                num_cpus=crew.workers,
                include_dashboard=False,
                log_to_driver=False,
                logging_level=logging.ERROR,
            )
        else:
            ray.init(crew.ray_address, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise InputError(
            f"--ray_address {crew.ray_address}: no Ray cluster to join ({error}); "
            "start one by ray start --head, or leave the address out"
        ) from error
    try:
        yield
    finally:
        ray.shutdown()


def _told(error: RayError) -> str:
    cause = error.cause if isinstance(error, RayTaskError) else error
    line = " ".join(str(cause).split())
    return f"Ray: {type(error).__name__}: {line}"
