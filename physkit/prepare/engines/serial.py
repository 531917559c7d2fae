"""One recording after another in this very process: for a debugger."""

from collections.abc import Iterator, Sequence

from physkit.prepare.engines.base import Crew
from physkit.prepare.work import Outcome, PrepareTask, Progress, work


def run_serial(tasks: Sequence[PrepareTask], crew: Crew) -> Iterator[Progress | Outcome]:  # noqa: ARG001
    """Does all tasks, in order; a crash of the process ends them all."""
    for task in tasks:
        yield from work(task)
