"""The progress bar of a preparation, on standard error."""

from collections.abc import Iterable, Iterator, Sequence

from physkit.core.progress import ProgressBar
from physkit.prepare.work import Outcome, PrepareTask, Progress


def shown(
    events: Iterable[Progress | Outcome], tasks: Sequence[PrepareTask], *, enabled: bool
) -> Iterator[Outcome]:
    """The outcomes; until the last, a bar weighs recordings by the size of their files."""
    n_bytes = {task.recording.name: max(1, task.n_bytes) for task in tasks}
    n_frames: dict[str, int] = {}
    n_done = 0
    with ProgressBar(
        total=sum(n_bytes.values()), unit="B", unit_scale=True, shown=enabled, leave=True
    ) as bar:
        so_far = dict.fromkeys(n_bytes, 0.0)
        for event in events:
            if isinstance(event, Outcome):
                n_done += 1
                share = 1.0
            else:
                share = min(event.n_frames / event.n_expected, 1.0) if event.n_expected else 0.0
            if isinstance(event, Progress) or event.n_frames:
                n_frames[event.name] = event.n_frames
            bar.update(share * n_bytes[event.name] - so_far[event.name])
            so_far[event.name] = share * n_bytes[event.name]
            elapsed_s = bar.format_dict["elapsed"]
            frames_per_s = sum(n_frames.values()) / elapsed_s if elapsed_s else 0.0
            bar.set_postfix_str(f"{n_done}/{len(tasks)} recordings, {frames_per_s:.0f} frames/s")
            if isinstance(event, Outcome):
                yield event
