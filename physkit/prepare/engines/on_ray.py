"""A Ray cluster: of this computer, or one that is there already."""

import logging
import re
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout

import ray
from ray.exceptions import RayError, RayTaskError

from physkit.core.errors import InputError
from physkit.prepare.work import Outcome, PrepareTask, Progress, work

RETRIES = 3
"""How often Ray may lose a worker with the same recording."""
OBJECT_STORE_BYTES = 100_000_000
"""Room for what travels between processes: tasks and outcomes, which are small."""
HOST_AND_PORT = re.compile(r"(?:ray://)?([^/:]+):(\d+)")
CONNECT_TIMEOUT_S = 5.0


def run_on_ray(
    tasks: Sequence[PrepareTask], *, workers: int, ray_address: str | None = None
) -> Iterator[Progress | Outcome]:
    """Does all tasks as remote tasks of one core each; the task of a lost worker is repeated.

    ray_address: cluster to join; None starts one on this computer with so many workers.
    Raises InputError where the cluster cannot be reached.
    """
    if not tasks:
        return
    with _cluster(workers, ray_address):
        remote = ray.remote(num_cpus=1, max_retries=RETRIES)(_outcome)
        pending = {remote.remote(task): task for task in tasks}
        while pending:
            (reference,), _ = ray.wait(list(pending), num_returns=1)
            task = pending.pop(reference)
            try:
                yield ray.get(reference)
            except RayError as error:
                yield Outcome(task.recording.name, failure=_error_line(error))


def _outcome(task: PrepareTask) -> Outcome:
    outcome = Outcome(task.recording.name)
    for event in work(task):
        if isinstance(event, Outcome):
            outcome = event
    return outcome


@contextmanager
def _cluster(workers: int, address: str | None) -> Iterator[None]:
    """Joins or starts a cluster, and leaves it; one that the caller has joined is used and kept."""
    if ray.is_initialized():
        yield
        return
    if address is None:
        ray.init(
            "local",
            num_cpus=workers,
            object_store_memory=OBJECT_STORE_BYTES,
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
    else:
        _join(address)
    try:
        with redirect_stdout(sys.stderr):  # Ray prints lost workers to standard output
            yield
    finally:
        ray.shutdown()


def _join(address: str) -> None:
    """Raises InputError where no cluster answers."""
    try:
        if place := HOST_AND_PORT.fullmatch(address):
            # Ray itself would try for a quarter of an hour
            socket.create_connection((place[1], int(place[2])), CONNECT_TIMEOUT_S).close()
        ray.init(address, log_to_driver=False, logging_level=logging.ERROR)
    except (OSError, ValueError, RuntimeError) as error:
        raise InputError(
            f"--ray_address {address}: no Ray cluster to join ({error}); "
            "start one by ray start --head, or leave the address out"
        ) from error


def _error_line(error: RayError) -> str:
    cause = error.cause if isinstance(error, RayTaskError) else error
    line = " ".join(str(cause).split())
    return f"Ray: {type(error).__name__}: {line}"
