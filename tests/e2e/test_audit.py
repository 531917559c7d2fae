"""`physkit audit`: each trap is planted in a tree, found there, and nowhere else."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from audit_clips import Clip, found

import physkit
from physkit.audit.raw import RawTask
from physkit.audit.tasks import audit_one
from physkit.cli import main
from physkit.core.errors import InputError
from physkit.data.readers import READERS
from physkit.media.frames import Frame


def _faceless(frame: Frame) -> Frame:
    return Frame(np.full_like(frame.rgb, 90), frame.timestamp_s)


def _words(path: Path, line: int, change: Callable[[list[str]], list[str]]) -> None:
    """Changes one line of a UBFC label."""
    lines = path.read_text().splitlines()
    lines[line] = " ".join(change(lines[line].split()))
    path.write_text("\n".join(lines) + "\n")


@pytest.fixture(scope="module")
def clip() -> Clip:
    return Clip()


@pytest.fixture(scope="module")
def clean(clip: Clip, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A UBFC tree of three recordings with nothing wrong."""
    root = tmp_path_factory.mktemp("clean") / "ubfc"
    for subject in (1, 2, 3):
        clip.write(root, "ubfc", subject)
    return root


@pytest.fixture(scope="module")
def damaged(clip: Clip, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """A UBFC tree with a trap in every recording but three, and the name of each trap."""
    root = tmp_path_factory.mktemp("damaged") / "ubfc"
    for subject in range(1, 11):
        clip.write(root, "ubfc", subject)
    label = "ground_truth.txt"
    video = root / "subject4" / "vid.avi"
    video.write_bytes(video.read_bytes()[: video.stat().st_size * 2 // 3])
    (root / "subject5" / "vid.avi").unlink()
    (root / "subject6" / label).unlink()
    (root / "subject7" / label).write_text("")
    _words(root / "subject8" / label, 2, lambda w: [*w[:60], w[50], *w[61:]])
    for line in range(3):
        _words(root / "subject9" / label, line, lambda w: w[:-12])
    _words(root / "subject10" / label, 0, lambda w: [*w[:60], "nan", *w[61:]])
    rng = np.random.default_rng(0)
    kept = [
        f
        for i, f in enumerate(clip.frames)
        if i not in range(100, 108) and i not in range(250, 258)
    ]
    jittered = [Frame(f.rgb, f.timestamp_s + 0.008 * rng.uniform()) for f in clip.frames]
    hidden = [_faceless(f) if i < 120 else f for i, f in enumerate(clip.frames)]
    traps = {
        "dropped-frames": {"frames": kept},
        "frame-jitter": {"frames": jittered},
        "face-coverage": {"frames": hidden},
        "lag": {"measure": clip.late(0.4)},
        "clock-drift": {"measure": clip.late(0.0, drift=0.0098)},
        "label-flat": {"measure": clip.changed(lambda t, x: np.where(t < 4, x[0], x))},
        "label-clipped": {"measure": clip.changed(lambda _, x: np.minimum(x, 0.6))},
        "label-inverted": {"measure": clip.changed(lambda _, x: -x)},
        "frame-rate": {"frames": clip.frames[::2]},
    }
    planted = {
        "subject4": "video-unreadable",
        "subject5": "video-missing",
        "subject6": "label-missing",
        "subject7": "label-unreadable",
        "subject8": "label-mended",
        "subject9": "label-mended",
        "subject10": "label-not-finite",
    }
    for subject, (check, options) in enumerate(traps.items(), 11):
        planted[clip.write(root, "ubfc", subject, **options)] = check
    shutil.copytree(root / "subject1", root / "subject30")
    planted["subject30"] = "duplicate"
    (root / "subject2" / "notes.txt").write_text("nothing")
    return root, planted


def test_a_clean_tree_raises_nothing(clean: Path) -> None:
    result = physkit.audit(clean, dataset="ubfc", workers=1)
    assert result.findings == ()
    assert result.exit_status == 0
    assert [summary.worst for summary in result.recordings] == [None] * 3
    for summary in result.recordings:
        assert summary.n_frames == summary.n_label_samples == 420
        assert summary.fps == pytest.approx(30.0)
        assert summary.face_coverage == 1.0
        assert summary.lag_ms == pytest.approx(0, abs=15)


@pytest.mark.slow
def test_every_planted_trap_is_found_where_it_is_and_nowhere_else(
    damaged: tuple[Path, dict[str, str]],
) -> None:
    root, planted = damaged
    result = physkit.audit(root, dataset="ubfc", workers=1)
    seen = found(result)
    assert seen.pop(None) == {"stray"}
    # where times are mended, a frame goes too; and this layout has a sample for each frame
    extra = {
        "subject8": {"label-mended", "dropped-frames"},
        "subject19": {"frame-rate", "label-rate"},
    }
    assert seen == {name: extra.get(name, {check}) for name, check in planted.items()}
    assert physkit.audit(root, dataset="ubfc", workers=1, strict=True, quick=True).exit_status == 1


@pytest.mark.slow
def test_lags_are_estimated_within_30_ms(clip: Clip, tmp_path: Path) -> None:
    lags_ms = {1: 0.0, 2: 133.0, 3: 400.0, 4: -200.0}
    for subject, lag_ms in lags_ms.items():
        clip.write(tmp_path / "ubfc", "ubfc", subject, measure=clip.late(lag_ms / 1e3))
    result = physkit.audit(tmp_path / "ubfc", dataset="ubfc", workers=1)
    for summary in result.recordings:
        assert summary.lag_ms == pytest.approx(lags_ms[int(summary.subject or 0)], abs=30)
    assert found(result) == {f"subject{subject}": {"lag"} for subject in (2, 3, 4)}
    late = next(f for f in result.findings if f.recording == "subject2")
    assert late.measured["lag_ms"] == pytest.approx(133, abs=30)
    assert "late" in late.message
    assert late.suggestion


@pytest.mark.slow
def test_a_pure_tree_shows_its_traps(clip: Clip, tmp_path: Path) -> None:
    root = tmp_path / "pure"
    for subject in range(1, 8):
        measure = clip.late(0.133) if subject == 7 else None
        length = 40 if subject in (3, 5) else len(clip.frames)
        clip.write(root, "pure", subject, measure=measure, frames=clip.frames[:length])
    images = {n: sorted((root / f"{n:02d}-01" / f"{n:02d}-01").iterdir()) for n in range(1, 8)}
    images[2][30].write_bytes(b"no picture")
    shutil.rmtree(images[3][0].parent)
    for path in images[4][100:130]:
        path.unlink()
    label = root / "05-01" / "05-01.json"
    label.write_text(label.read_text()[:-400])
    document = json.loads((root / "06-01" / "06-01.json").read_text())
    document["/FullPackage"] = document["/FullPackage"][:-120]
    (root / "06-01" / "06-01.json").write_text(json.dumps(document))
    seen = found(physkit.audit(root, dataset="pure", workers=2))
    assert seen.pop("02-01") == {"damaged-frames"}
    assert seen.pop("03-01") == {"video-unreadable"}
    assert "dropped-frames" in seen.pop("04-01")
    assert seen.pop("05-01") == {"label-unreadable"}
    assert seen.pop("06-01") == {"length-mismatch"}
    assert seen.pop("07-01") == {"lag"}
    assert seen == {}


@pytest.mark.slow
def test_matlab_files_show_their_traps(clip: Clip, tmp_path: Path) -> None:
    root = tmp_path / "buaa"
    for subject in range(1, 5):
        measure = clip.late(0.133) if subject == 4 else None
        length = 40 if subject == 2 else len(clip.frames)
        clip.write(root, "buaa-mihr", subject, measure=measure, frames=clip.frames[:length])
    label = next((root / "Sub 02").rglob("*.mat"))
    label.write_bytes(label.read_bytes()[:300])
    next((root / "Sub 03").rglob("*.mat")).unlink()
    seen = found(physkit.audit(root, workers=1))
    assert {name: checks for name, checks in seen.items() if name} == {
        "sub02_lux100.0": {"label-unreadable"},
        "sub03_lux100.0": {"label-unreadable"},
        "sub04_lux100.0": {"lag"},
    }
    root = tmp_path / "mmpd"
    clip.write(root, "mmpd", 2, frames=clip.frames[:200])
    video = root / "subject2" / "p2_0.mat"
    video.write_bytes(video.read_bytes()[: video.stat().st_size // 2])
    seen = found(physkit.audit(root, workers=1))
    assert set(seen) == {"p2_0"}
    assert seen["p2_0"] <= {"video-unreadable", "label-unreadable"}


def test_quick_reads_no_frames_and_says_so(damaged: tuple[Path, dict[str, str]]) -> None:
    root, _ = damaged
    result = physkit.audit(root, dataset="ubfc", workers=1, quick=True)
    assert result.not_checked
    assert all(summary.lag_ms is None for summary in result.recordings)
    seen = found(result)
    assert seen["subject5"] == {"video-missing"}
    assert seen["subject7"] == {"label-unreadable"}
    assert "subject1" not in seen


@pytest.mark.slow
def test_two_workers_find_what_one_does(damaged: tuple[Path, dict[str, str]]) -> None:
    root, _ = damaged
    one = physkit.audit(root, dataset="ubfc", workers=1, quick=True)
    two = physkit.audit(root, dataset="ubfc", workers=2, quick=True)
    assert one.to_dict() == two.to_dict()


def test_the_command_prints_a_table_and_json(
    clean: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["audit", str(clean), "--dataset", "ubfc", "--quick", "--workers", "1"]
    assert main(words) == 0
    table = capsys.readouterr().out
    assert "subject1" in table
    assert "nothing found" in table
    assert "not checked" in table
    assert main([*words, "--json", "--strict"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert set(answer) == {
        "path", "kind", "dataset", "recordings", "findings", "counts", "not_checked"
    }  # fmt: skip
    assert answer["counts"] == {"recordings": 3, "error": 0, "warning": 0, "note": 0}


def test_strict_fails_on_a_warning_and_not_on_a_note(
    clean: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "ubfc"
    shutil.copytree(clean, root)
    words = ["audit", str(root), "--dataset", "ubfc", "--quick", "--strict", "--workers", "1"]
    (root / "readme.txt").write_text("notes")
    assert main(words) == 0
    _words(root / "subject1" / "ground_truth.txt", 0, lambda w: ["0.5"] * len(w))
    assert main(words) == 1
    assert main([word for word in words if word != "--strict"]) == 0
    assert "label-flat" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["/absent"], "/absent: no such folder"),
        (["/absent.zarr"], "no store there"),
        (["nowhere://b/s.zarr"], "nowhere://b/s.zarr: cannot be reached"),
        (["/", "--dataset", "ubcf"], "did you mean 'ubfc'"),
        (["/", "--face.detector", "har"], "did you mean 'haar'"),
        (["/", "--workers", "0"], "--workers 0"),
        ([""], "--path: empty"),
    ],
)
def test_bad_usage_is_one_line_and_status_2(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["audit", *words]) == 2
    answer = capsys.readouterr()
    assert answer.out == ""
    assert message in answer.err
    assert len(answer.err.strip().splitlines()) == 1


def test_the_data_set_is_told_from_the_files(clean: Path, tmp_path: Path) -> None:
    assert physkit.audit(clean, quick=True, workers=1).dataset == "ubfc"
    with pytest.raises(InputError, match="no recordings of any data set"):
        physkit.audit(tmp_path, quick=True)


def test_damaged_conditions_are_not_taken_for_another_data_set(tmp_path: Path) -> None:
    (tmp_path / "subject1").mkdir()
    (tmp_path / "synthetic").mkdir()
    (tmp_path / "synthetic" / "subject1.conditions.json").write_text("{")
    with pytest.raises(InputError, match=r"subject1\.conditions\.json: damaged"):
        physkit.audit(tmp_path, quick=True)


def test_an_unexpected_error_is_a_finding_of_its_recording(clean: Path) -> None:
    recording = READERS["ubfc"]().find(clean).recordings[0]
    broken = replace(recording, files=())
    answer = audit_one(RawTask(broken, quick=True, detector="haar", detector_weights=None))
    (finding,) = answer.findings
    assert (finding.check, finding.severity, finding.recording) == ("crashed", "error", "subject1")


def test_a_condition_that_cannot_be_read_is_told(clean: Path) -> None:
    recording = READERS["ubfc"]().find(clean).recordings[0]
    odd = replace(recording, unknown=("p1_0.mat: condition light is unknown: 3.0 is no text",))
    answer = audit_one(RawTask(odd, quick=True, detector="haar", detector_weights=None))
    (finding,) = answer.findings
    assert (finding.check, finding.severity) == ("condition-unknown", "warning")


def test_help_names_every_data_set(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["audit", "--help"])
    shown = capsys.readouterr().out
    assert all(name in shown for name in READERS)
