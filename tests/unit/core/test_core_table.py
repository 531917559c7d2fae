"""Tables as plain lines: aligned, whole, and without anything that a pipe could not take."""

import pytest

from physkit.core.table import cell, labelled, table


def test_texts_start_at_the_left_and_numbers_end_at_the_right() -> None:
    rows = [("torch", "2", "12.5"), ("onnx-released", "16", "3.0", "slow"), ("\u5fc3", "1", "-")]
    assert table(("runtime", "threads", "frames/s", ""), rows) == [
        "runtime        threads  frames/s",
        "torch                2      12.5",
        "onnx-released       16       3.0  slow",
        "\u5fc3                   1         -",  # as wide as two letters
    ]
    assert table(("", ""), [("a", "one"), ("bcd", "two words")]) == ["a    one", "bcd  two words"]


def test_nothing_is_cut_wrapped_coloured_or_interpreted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    monkeypatch.setenv("FORCE_COLOR", "1")
    name = "[bold]" + "x" * 500 + "[/bold] :smile: {1}"
    lines = table(("name", "n"), [(name, "1"), ("a\n  b", "2")])
    assert lines[1] == f"{name}  1"
    assert lines[2] == "a b" + " " * (len(name) - 3) + "  2"
    assert all("\x1b" not in line for line in lines)


def test_a_table_may_be_empty() -> None:
    assert table(("", ""), []) == []
    assert table(("name", "n"), []) == ["name  n"]


def test_labels_stand_above_each_other_in_every_command() -> None:
    assert labelled([("heart rate", "72.0 bpm"), ("model", "pos")]) == [
        "heart rate          72.0 bpm",
        "model               pos",
    ]
    assert cell(None, ".1f") == "-"
    assert cell(1.25, ".1f") == "1.2"
