"""What recordings tell about each other: the lag that they share, the files that they share."""

import os
from pathlib import Path

import pytest
from still_photos import false_findings

from physkit.audit.across import check_settings, find_same_files, settle_lags
from physkit.audit.evidence import Audited
from physkit.audit.result import RecordingSummary
from physkit.data.recording import Recording
from physkit.signal.lag import LagEstimate


def possible(*lags: tuple[float, float]) -> Audited:
    """A recording that can have these lags, each with its doubt."""
    return Audited(
        RecordingSummary("r", "s"),
        (),
        tuple(
            LagEstimate(lag_s, 0.01, 0.9, 0.0, 1e-4, 20.0, 9, doubt, None) for lag_s, doubt in lags
        ),
    )


def settled_ms(*recordings: Audited) -> list[float | None]:
    return [audited.summary.lag_ms for audited in settle_lags(recordings)]


def test_a_lag_that_hearts_of_all_rates_can_have_is_the_true_one() -> None:
    fast, middle, slow = ((0.4, 0.0), (-0.02, 0.3)), ((0.39, 0.0), (-0.2, 0.5)), ((0.41, 0.0),)
    assert settled_ms(possible(*fast)) == [400.0]
    doubtful = possible((-0.02, 0.0), (0.4, 0.4))
    assert settled_ms(doubtful) == [-20.0]
    found = settled_ms(doubtful, possible(*fast), possible(*middle), possible(*slow))
    assert found == pytest.approx([400.0, 400.0, 390.0, 410.0])


def test_a_recording_can_have_a_lag_of_its_own() -> None:
    usual = [possible((0.01, 0.0), (0.8, 3.0)) for _ in range(4)]
    assert settled_ms(*usual, possible((0.4, 0.0), (-0.45, 1.0)))[-1] == 400.0
    rivals = [
        a.summary.lag_rival_ms for a in settle_lags([*usual, possible((0.4, 0.0), (0.0, 1.0))])
    ]
    assert rivals == [None, None, None, None, 400.0]


def recordings(root: Path, *contents: bytes) -> list[Recording]:
    made = []
    for index, data in enumerate(contents):
        (root / f"{index}.avi").write_bytes(data)
        made.append(Recording("ubfc", f"r{index}", "s", "1", root, (f"{index}.avi",)))
    return made


def test_only_files_that_are_equal_to_the_last_byte_are_copies(tmp_path: Path) -> None:
    data = bytes(300_000)
    nearly = data[:200_000] + b"x" + data[200_001:]
    found = find_same_files(recordings(tmp_path, data, nearly, data, data[:-1], b"", b""))
    assert [(pair.first, pair.second) for pair in found] == [("r0", "r2")]


def test_a_link_out_of_the_tree_counts_as_what_it_leads_to(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    data = bytes(1000)
    made = recordings(tree, data, data)
    (tmp_path / "elsewhere").write_bytes(data)
    (tree / "1.avi").unlink()
    os.symlink(tmp_path / "elsewhere", tree / "1.avi")
    (found,) = find_same_files(made)
    assert (found.first, found.second) == ("r0", "r1")


def test_settings_unlike_most_are_told_with_the_difference() -> None:
    usual = {"size_px": 36, "detector": {"name": "haar"}}
    other = {"size_px": 72, "detector": {"name": "haar"}}
    (finding,) = check_settings({"a": usual, "b": other, "c": dict(usual)})
    assert finding.recording == "b"
    assert "size_px 36 -> 72" in finding.message


def test_labels_of_nobody_in_the_video_have_no_lag() -> None:
    assert false_findings(4) == {}


@pytest.mark.slow
def test_no_lag_is_found_in_forty_unrelated_pairs() -> None:
    assert false_findings(40) == {}
