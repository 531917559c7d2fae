"""`physkit demo`: all of the main job, in sizes that teach nothing and show that it works."""

import json
from pathlib import Path

import pytest

from physkit.cli import main
from physkit.pipelines.demo import DATASETS

WORDS = ("--subjects", "4", "--seconds", "5", "--steps", "1", "--workers", "1")


@pytest.mark.slow
def test_a_clip_is_read_and_a_matrix_of_three_data_sets_filled(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["demo", "--out", str(tmp_path), *WORDS, "--json"]
    assert main(words) == 0
    answer = capsys.readouterr()
    said = json.loads(answer.out)
    assert [reading["model"] for reading in said["readings"]] == ["facephys", "pos"]
    for reading in said["readings"]:
        assert abs(reading["heart_rate_bpm"] - said["true_heart_rate_bpm"]) < 3
        assert all(Path(reading[name]).is_file() for name in ("plot", "json"))
    assert Path(said["clip"]).is_file()
    cells = {(cell["train"], cell["test"]): cell for cell in said["matrix"]["cells"]}
    assert set(cells) == {(r, c) for r in (*DATASETS, "pos") for c in DATASETS}
    assert all(cell["mae_bpm"] is not None for cell in cells.values())
    assert (tmp_path / "matrix" / "report.html").is_file()
    assert all(name.endswith("-like") for name in DATASETS)  # nobody takes them for real data
    assert "train and test: " in answer.err
    names = [step["name"] for step in said["steps"]]
    assert set(names) >= {"read a clip", "synth ubfc-like", "prep mmpd-like", "train and test"}
    for step in said["steps"]:
        assert step["size_mb"] > 0
        assert Path(step["path"]).is_dir()
        assert step["path"] in answer.err
    assert main(words) == 0
    again = json.loads(capsys.readouterr().out)
    assert again["matrix"]["cells"] == said["matrix"]["cells"]
    assert again["matrix"]["trainings"][0]["is_new"] is False


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--subjects", "3"], "--subjects 3"),
        (["--steps", "0"], "--steps 0"),
        (["--seconds", "1"], "--seconds 1"),
        (["--workers", "0"], "--workers 0"),
    ],
)
def test_sizes_that_cannot_work_are_refused(
    words: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["demo", "--out", str(tmp_path), *words]) == 2
    assert message in capsys.readouterr().err
