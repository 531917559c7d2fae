"""What is shown of a preparation, and what is told at its end."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from physkit.data.recording import Recording
from physkit.prepare.progress import shown
from physkit.prepare.result import Failure, PrepareResult
from physkit.prepare.settings import CropSettings
from physkit.prepare.work import Outcome, PrepareTask, Progress

CROP = CropSettings("haar", None, 36)


def task(name: str, n_bytes: int) -> PrepareTask:
    recording = Recording("ubfc", name, "1", "1", Path("raw"), ())
    return PrepareTask(recording, n_bytes, Path("s.zarr"), CROP, {})


def events() -> Iterator[Progress | Outcome]:
    yield Progress("a", 50, 100)
    yield Outcome("b", failure="broken")
    yield Progress("a", 120, 100)
    yield Outcome("a", 120)


def result(**changes: object) -> PrepareResult:
    values = {
        "dataset": "ubfc",
        "out": "s.zarr",
        "done": ("a", "b"),
        "skipped": ("c",),
        "failed": (),
        "not_in_raw": (),
        "redone": {},
        "warnings": {},
        "notes": (),
        "engine": "local",
        "workers": 2,
        "n_frames": 1200,
        "duration_s": 3.0,
        "peak_rss_mb": 250.0,
    }
    return PrepareResult(**{**values, **changes})  # type: ignore[arg-type]


def test_outcomes_pass_and_the_bar_ends_full(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    tasks = [task("a", 900), task("b", 100)]
    assert [o.name for o in shown(events(), tasks, enabled=True)] == ["b", "a"]
    last = capsys.readouterr().err.split("\r")[-1]
    assert "100%" in last
    assert "2/2 recordings" in last
    assert "frames/s" in last


def test_nothing_is_shown_unasked(capsys: pytest.CaptureFixture[str]) -> None:
    assert len(list(shown(events(), [task("a", 0), task("b", 0)], enabled=False))) == 2
    assert capsys.readouterr().err == ""


def test_the_summary_says_what_was_done() -> None:
    lines = result(not_in_raw=("old",), redone={"a": "raw files changed"}, notes=("few",)).lines()
    assert lines == [
        "store               s.zarr (ubfc)",
        "prepared            2 of 3 recordings, 1200 frames, 400 frames/s",
        "skipped             1 that were there already",
        "workers             2 (local), 250 MB at most",
        "not in the raw data old (kept)",
        "note: few",
        "again: a: raw files changed",
    ]
    assert result().exit_status == 0


def test_failures_come_last_and_set_the_exit_status() -> None:
    failed = (Failure("subject3", "vid.avi: truncated"), Failure("s1", "no face"))
    one = result(failed=failed)
    assert one.lines()[-3:] == [
        "failed              2 of 5",
        "  subject3  vid.avi: truncated",
        "  s1        no face",
    ]
    assert one.exit_status == 1


def test_many_changes_are_told_in_few_lines() -> None:
    redone = {f"r{k}": "settings changed" for k in range(100)}
    again = [line for line in result(redone=redone).lines() if "again" in line or "..." in line]
    assert again[-1] == "... and 90 more"
    assert len(again) == 11


def test_the_result_is_json() -> None:
    answer = json.loads(json.dumps(result(failed=(Failure("a", "b"),)).to_dict()))
    assert answer["failed"] == [{"recording": "a", "cause": "b"}]
    assert answer["frames_per_s"] == 400
    nothing = result(done=(), n_frames=0, duration_s=0.0, peak_rss_mb=None).to_dict()
    assert nothing["frames_per_s"] == 0
