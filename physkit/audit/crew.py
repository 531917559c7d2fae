"""Auditing many recordings, at once if asked; what happens to one stays with that one."""

from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError

from physkit.audit.evidence import Audited, broken
from physkit.audit.raw import RawTask, audit_raw
from physkit.audit.stored import StoredTask, audit_stored
from physkit.core.workers import worker_pool
from physkit.data.findings import Finding

Task = RawTask | StoredTask


def work(tasks: Sequence[Task], *, workers: int) -> Iterator[Audited]:
    """Every task's answer, in order; with one worker in this very process.

    A process that dies takes nothing but its own recording along.
    """
    if min(workers, len(tasks)) <= 1:
        yield from map(audit_one, tasks)
        return
    from pebble import ProcessExpired

    with worker_pool(min(workers, len(tasks))) as pool:
        futures = [pool.schedule(_audit_alone, args=(task,)) for task in tasks]
        for task, future in zip(tasks, futures, strict=True):
            try:
                yield future.result()
            except (ProcessExpired, CancelledError) as error:
                message = f"reading it killed the process ({error})"
                yield broken(task.name, task.subject, Finding("crashed", "error", message))


def audit_one(task: Task) -> Audited:
    """Audits one recording, whatever is in it."""
    try:
        return audit_raw(task) if isinstance(task, RawTask) else audit_stored(task)
    except Exception as error:  # noqa: BLE001 (told as a finding: the others must go on)
        message = f"unexpected {type(error).__name__}: {error}"
        return broken(task.name, task.subject, Finding("crashed", "error", message))


def _audit_alone(task: Task) -> Audited:
    """As `audit_one`, in a process of which there are as many as cores."""
    if not task.quick:
        import torch

        torch.set_num_threads(1)
    return audit_one(task)
