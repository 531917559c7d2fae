"""This computer: a pool of worker processes, or this very process."""

from collections.abc import Iterator, Sequence

from physkit.core.workers import WorkerDeath, run_in_pool
from physkit.prepare.work import Outcome, PrepareTask, Progress, work

ATTEMPTS = 2
"""How often a recording is tried whose worker dies."""


def run_local(tasks: Sequence[PrepareTask], *, workers: int) -> Iterator[Progress | Outcome]:
    """Does all tasks, each in one of `workers` processes; closing the generator ends them."""
    for index, event in run_in_pool(work, tasks, workers=workers, attempts=ATTEMPTS):
        if isinstance(event, WorkerDeath):
            failure = f"{event.cause}, {ATTEMPTS} times over"
            yield Outcome(tasks[index].recording.name, failure=failure)
        else:
            yield event


def run_serial(
    tasks: Sequence[PrepareTask],
    *,
    workers: int,  # noqa: ARG001 - all engines take it
) -> Iterator[Progress | Outcome]:
    """Does all tasks one after another in this process, for a debugger; a crash ends them all."""
    for task in tasks:
        yield from work(task)
