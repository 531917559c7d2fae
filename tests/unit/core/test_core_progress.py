"""Progress in a log file."""

import pytest

from physkit.core import progress
from physkit.core.progress import ProgressBar


def test_a_log_has_a_line_for_each_stage_with_the_time_left(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with ProgressBar(total=4, unit="step", shown=True) as bar:
        for name in ("train a", "train b"):
            bar.set_postfix_str("3 frames/s")
            bar.set_description(name)
            bar.update()
            bar.update()
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(", ")[0] for line in lines] == [
        "train a: 0 of 4 step",
        "train b: 2 of 4 step",
    ]
    assert all(line.endswith(" left, 3 frames/s") for line in lines)
    assert not any("\r" in line for line in lines)


def test_a_long_stage_writes_now_and_then(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    list(ProgressBar(range(50), unit="frame", shown=True))
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(progress, "LINE_EVERY_S", 1e-9)
    list(ProgressBar(range(5), unit="frame", shown=True))
    assert "3 of 5 frame" in capsys.readouterr().err


def test_nothing_is_written_where_nothing_is_to_be_shown(
    capsys: pytest.CaptureFixture[str],
) -> None:
    bar = ProgressBar(range(3), shown=False)
    bar.set_description("train a")
    assert list(bar) == [0, 1, 2]
    assert capsys.readouterr().err == ""
