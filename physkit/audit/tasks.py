"""Auditing many recordings, several at once; what happens to one stays with that one."""

from collections.abc import Iterator, Sequence

from physkit.audit.evidence import Audited, broken
from physkit.audit.raw import RawTask, audit_raw
from physkit.audit.stored import StoredTask, audit_stored
from physkit.core.workers import WorkerDeath, run_in_pool
from physkit.data.findings import Finding

AuditTask = RawTask | StoredTask


def audit_all(tasks: Sequence[AuditTask], *, workers: int) -> Iterator[tuple[int, Audited]]:
    """Every task's answer with the task's index, as it comes; one worker is this very process.

    A process that dies takes nothing but its own recording along.
    """
    if min(workers, len(tasks)) <= 1:
        yield from enumerate(map(audit_one, tasks))
        return
    for index, answer in run_in_pool(_audit_in_worker, tasks, workers=workers):
        if isinstance(answer, WorkerDeath):
            message = f"reading it killed the process ({answer.cause})"
            task = tasks[index]
            yield index, broken(task.name, task.subject, Finding("crashed", "error", message))
        else:
            yield index, answer


def audit_one(task: AuditTask) -> Audited:
    """Audits one recording, whatever is in it."""
    try:
        return audit_raw(task) if isinstance(task, RawTask) else audit_stored(task)
    except Exception as error:  # noqa: BLE001 (becomes a finding: the others must go on)
        message = f"unexpected {type(error).__name__}: {error}"
        return broken(task.name, task.subject, Finding("crashed", "error", message))


def _audit_in_worker(task: AuditTask) -> list[Audited]:
    """As `audit_one`, in a process of which there are as many as cores."""
    if not task.quick:
        import torch

        torch.set_num_threads(1)
    return [audit_one(task)]
