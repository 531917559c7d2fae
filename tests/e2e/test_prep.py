"""`physkit prep`: one run, the next run, and what cannot be prepared."""

import json
import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from store_contents import contents, made_once, prep

import physkit
from physkit.cli import main
from physkit.data.formats.avi import write_avi
from physkit.data.formats.truth import read_told
from physkit.data.readers import READERS
from physkit.media.frames import Frame

NAMES = tuple(f"subject{k}" for k in range(1, 9))


@pytest.fixture
def raw(raw_ubfc: Path, tmp_path: Path) -> Path:
    """A copy of the raw tree to do harm to; unharmed files are links."""
    shutil.copytree(raw_ubfc, tmp_path / "raw", copy_function=_link)
    return tmp_path / "raw"


def _link(source: str, target: str) -> None:
    Path(target).hardlink_to(source)


def replace_bytes(file: Path, data: bytes) -> None:
    """A new file under the name: a link's other names keep what they have."""
    file.unlink()
    file.write_bytes(data)


def test_a_store_holds_what_its_reader_reads(raw_ubfc: Path, prepared_ubfc: Path) -> None:
    store = physkit.open_store(prepared_ubfc)
    reader = READERS["ubfc"]()
    recordings = {r.name: r for r in reader.find(raw_ubfc).recordings}
    assert store.names == tuple(recordings) == NAMES
    for name, recording in recordings.items():
        stored, label = store[name], reader.read_label(recording)
        with reader.open_frames(recording) as frames:
            times_s = [frame.timestamp_s for frame in frames]
        np.testing.assert_array_equal(stored.timestamps_s, times_s)
        np.testing.assert_array_equal(stored.pulse.timestamps_s, label.pulse.timestamps_s)
        np.testing.assert_allclose(stored.pulse.samples, label.pulse.samples, atol=1e-6, rtol=1e-6)
        np.testing.assert_allclose(
            stored.columns["heart_rate_bpm"], label.columns["heart_rate_bpm"], rtol=1e-6
        )
        assert stored.frames().shape == (90, 36, 36, 3)
        assert stored.subject == recording.subject
        told = read_told(raw_ubfc)[name]
        assert (stored.conditions, stored.parameters) == (told.conditions, told.parameters)
        assert np.mean(stored.segments >= 0) > 0.95


def test_processes_of_any_number_give_the_same_store(
    raw_ubfc: Path, prepared_ubfc: Path, tmp_path: Path
) -> None:
    result = prep(raw_ubfc, tmp_path / "new" / "two.zarr", engine="local", workers=2)
    assert result.done == NAMES
    assert result.workers == 2
    assert result.peak_rss_mb is not None
    assert result.peak_rss_mb < 700
    assert contents(tmp_path / "new" / "two.zarr") == contents(prepared_ubfc)


def test_a_store_tells_nothing_of_where_it_was_made(raw_ubfc: Path, prepared_ubfc: Path) -> None:
    text = json.dumps(contents(prepared_ubfc))
    assert str(raw_ubfc) not in text
    assert str(prepared_ubfc.parent) not in text


def test_a_second_run_does_nothing(raw_ubfc: Path, tmp_path: Path) -> None:
    out = tmp_path / "s.zarr"
    prep(raw_ubfc, out, only=["subject1", "subject2"])
    before = made_once(out)
    again = prep(raw_ubfc, out, only=["subject1", "subject2"])
    assert (again.done, again.skipped, again.redone) == ((), ("subject1", "subject2"), {})
    assert made_once(out) == before
    assert prep(raw_ubfc, out).done == NAMES[2:]
    assert {name: made_once(out)[name] for name in before} == before
    assert sorted(path.name for path in tmp_path.iterdir()) == [".s.zarr.lock", "s.zarr"]


def test_other_settings_are_prepared_anew_and_named(
    raw_ubfc: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "s.zarr"
    prep(raw_ubfc, out, only=["subject1", "subject2"])
    words = f"prep --dataset ubfc --raw {raw_ubfc} --out {out} --only subject1 --size 24"
    assert main([*words.split(), "--engine", "serial"]) == 0
    assert "again: subject1: settings changed: size_px 36 -> 24" in capsys.readouterr().out
    sizes = {name: r.size_px for name, r in physkit.open_store(out).items()}
    assert sizes == {"subject1": 24, "subject2": 36}


def rename_label(raw: Path) -> None:
    (raw / "subject1" / "ground_truth.txt").rename(raw / "subject1" / "old.txt")
    shutil.copy(raw / "subject1" / "old.txt", raw / "subject1" / "ground_truth.txt")


def change_a_digit(raw: Path) -> None:
    label = raw / "subject1" / "ground_truth.txt"
    text = label.read_text()
    replace_bytes(label, (text[:-3] + ("1" if text[-3] != "1" else "2") + text[-2:]).encode())


def change_conditions(raw: Path) -> None:
    file = raw / "synthetic" / "subject1.conditions.json"
    known = json.loads(file.read_text())
    replace_bytes(file, json.dumps(known | {"lamp": "another"}).encode())


@pytest.mark.parametrize(
    ("change", "done", "reason"),
    [
        (rename_label, (), None),
        (change_a_digit, ("subject1",), None),
        (change_conditions, ("subject1",), "conditions changed"),
    ],
)
def test_what_changed_in_the_raw_data_is_prepared_anew(
    raw: Path,
    tmp_path: Path,
    change: Callable[[Path], None],
    done: tuple[str, ...],
    reason: str | None,
) -> None:
    out, only = tmp_path / "s.zarr", ["subject1", "subject2"]
    prep(raw, out, only=only)
    change(raw)
    result = prep(raw, out, only=only)
    assert result.done == done
    assert result.redone == ({"subject1": reason} if reason else {})


def change_words(file: Path, line: int, change: Callable[[list[str]], list[str]]) -> None:
    lines = file.read_text().splitlines()
    lines[line] = " ".join(change(lines[line].split()))
    replace_bytes(file, "\n".join(lines).encode())


def test_what_an_audit_calls_an_error_is_refused_and_a_warning_told(
    raw: Path, tmp_path: Path
) -> None:
    label = "ground_truth.txt"
    change_words(raw / "subject1" / label, 2, lambda w: [str(1000 * float(x)) for x in w])
    change_words(raw / "subject2" / label, 0, lambda w: ["0.5"] * len(w))
    change_words(raw / "subject3" / label, 0, lambda w: [*w[:40], "nan", *w[41:]])
    change_words(raw / "subject3" / label, 1, lambda w: ["nan"] * len(w))
    only = [f"subject{k}" for k in (1, 2, 3, 4)]
    result = prep(raw, tmp_path / "s.zarr", only=only)
    assert (result.done, result.exit_status) == (("subject3", "subject4"), 1)
    causes = {failure.recording: failure.cause for failure in result.failed}
    assert set(causes) == {"subject1", "subject2"}
    assert "they look like milliseconds, not seconds" in causes["subject1"]
    assert "label-flat: the label is flat throughout" in causes["subject2"]
    assert all(str(raw / name / label) in cause for name, cause in causes.items())
    assert "label-not-finite: 1 of 90 label samples" in result.warnings["subject3"][0]
    stored = physkit.open_store(tmp_path / "s.zarr")["subject3"]
    assert np.flatnonzero(np.isnan(stored.pulse.samples)).tolist() == [40]


def test_contents_are_compared_when_asked_for(raw: Path, tmp_path: Path) -> None:
    out, only = tmp_path / "s.zarr", ["subject1", "subject2"]
    prep(raw, out, only=only)
    stamp = (raw / "subject1" / "ground_truth.txt").stat()
    change_a_digit(raw)
    os.utime(raw / "subject1" / "ground_truth.txt", ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert prep(raw, out, only=only).done == ()
    verified = prep(raw, out, only=only, verify=True)
    assert (verified.done, verified.skipped) == (("subject1",), ("subject2",))


def test_recordings_that_the_raw_data_lost_are_kept_and_named(raw: Path, tmp_path: Path) -> None:
    out = tmp_path / "s.zarr"
    prep(raw, out, only=["subject1", "subject2"])
    shutil.rmtree(raw / "subject2")
    result = prep(raw, out, only=["subject1"])
    assert result.not_in_raw == ("subject2",)
    assert "subject2" in physkit.open_store(out)


def cut_short(folder: Path) -> None:
    video = folder / "vid.avi"
    replace_bytes(video, video.read_bytes()[: video.stat().st_size // 2])


def empty_label(folder: Path) -> None:
    replace_bytes(folder / "ground_truth.txt", b"")


def no_label(folder: Path) -> None:
    (folder / "ground_truth.txt").unlink()


def empty_video(folder: Path) -> None:
    replace_bytes(folder / "vid.avi", b"")


def link_out(folder: Path) -> None:
    (folder / "ground_truth.txt").unlink()
    (folder / "ground_truth.txt").symlink_to("/etc/hostname")


def dead_link(folder: Path) -> None:
    (folder / "ground_truth.txt").unlink()
    (folder / "ground_truth.txt").symlink_to("/nowhere")


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (cut_short, "subject2/vid.avi: truncated: it ends after 1.50 s"),
        (empty_label, "ground_truth.txt"),
        (no_label, "ground_truth.txt"),
        (empty_video, "vid.avi: empty file"),
        (link_out, "ground_truth.txt: 1 lines and not three"),
        (dead_link, "ground_truth.txt: a link to /nowhere, where nothing is"),
    ],
)
def test_a_bad_recording_is_named_and_the_others_are_done(
    raw: Path,
    tmp_path: Path,
    harm: Callable[[Path], None],
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    harm(raw / "subject2")
    out = tmp_path / "s.zarr"
    words = f"prep --dataset ubfc --raw {raw} --out {out} --engine serial --json"
    assert main([*words.split(), "--only", "[subject1,subject2,subject3]"]) == 1
    answer = json.loads(capsys.readouterr().out)
    assert answer["done"] == ["subject1", "subject3"]
    (failure,) = answer["failed"]
    assert failure["recording"] == "subject2"
    assert message in failure["cause"]
    assert "bug" not in failure["cause"]
    assert set(contents(out)) == {"", "subject1", "subject3"}


def test_a_dead_link_beside_the_recordings_is_a_failure(raw: Path, tmp_path: Path) -> None:
    shutil.rmtree(raw / "subject2")
    (raw / "subject2").symlink_to("/nowhere")
    for other in raw.glob("subject[3-8]"):
        shutil.rmtree(other)
    result = physkit.prepare(dataset="ubfc", raw=raw, out=tmp_path / "s.zarr", engine="serial")
    assert result.done == ("subject1",)
    (failure,) = result.failed
    assert failure.recording == "subject2"
    assert "a link to /nowhere, where nothing is" in failure.cause
    assert result.exit_status == 1


def test_failures_stand_in_a_table_at_the_end(
    raw: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cut_short(raw / "subject2")
    empty_label(raw / "subject3")
    words = f"prep --dataset ubfc --raw {raw} --out {tmp_path / 's.zarr'} --engine serial"
    assert main([*words.split(), "--only", "[subject1,subject2,subject3]"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[-3].split() == ["failed", "2", "of", "3"]
    assert [line.split()[0] for line in lines[-2:]] == ["subject2", "subject3"]


def test_a_video_without_a_face_is_a_failure(raw: Path, tmp_path: Path) -> None:
    video = raw / "subject1" / "vid.avi"
    video.unlink()
    grey = (Frame(np.full((240, 320, 3), 128, np.uint8), k / 30) for k in range(90))
    write_avi(video, grey, size_px=(320, 240), fps=30.0, codec="mjpeg")
    (failure,) = prep(raw, tmp_path / "s.zarr", only=["subject1"]).failed
    assert "no face in any of 90 frames" in failure.cause


def test_frames_without_a_face_are_black_and_told(raw: Path, tmp_path: Path) -> None:
    video = raw / "subject1" / "vid.avi"
    reader = READERS["ubfc"]()
    (recording, *_) = reader.find(raw).recordings
    with reader.open_frames(recording) as source:
        frames = [Frame(frame.rgb, frame.timestamp_s) for frame in source]
    frames[:45] = [Frame(np.full_like(f.rgb, 128), f.timestamp_s) for f in frames[:45]]
    video.unlink()
    write_avi(video, frames, size_px=(320, 240), fps=30.0, codec="rawvideo")
    result = prep(raw, tmp_path / "s.zarr", only=["subject1"])
    assert result.warnings["subject1"] == (
        "a face in 50% of the frames only; the others are black",
    )
    stored = physkit.open_store(tmp_path / "s.zarr")["subject1"]
    assert stored.n_frames == 90
    assert not stored.frames(0, 45).any()
    assert stored.frames(45).any(axis=(1, 2, 3)).all()
    assert np.isnan(stored.boxes[:45]).all()
    assert (stored.segments[:45] == -1).all()
    assert stored.attributes["face_coverage"] == 0.5


def test_a_recording_that_fails_anew_keeps_what_was_stored(raw: Path, tmp_path: Path) -> None:
    out = tmp_path / "s.zarr"
    prep(raw, out, only=["subject1"])
    before = made_once(out)
    cut_short(raw / "subject1")
    assert prep(raw, out, only=["subject1"]).failed
    assert made_once(out) == before


def test_a_bug_in_one_recording_does_not_end_the_others(
    raw_ubfc: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = READERS["ubfc"]
    read_label = reader.read_label

    def buggy(self: Any, recording: Any) -> Any:
        if recording.name == "subject1":
            raise ZeroDivisionError("float division by zero")
        return read_label(self, recording)

    monkeypatch.setattr(reader, "read_label", buggy)
    result = prep(raw_ubfc, tmp_path / "s.zarr", only=["subject1", "subject2"])
    assert result.done == ("subject2",)
    assert "ZeroDivisionError at test_prep.py:" in result.failed[0].cause


def test_a_damaged_recording_of_the_store_is_prepared_anew(raw_ubfc: Path, tmp_path: Path) -> None:
    out = tmp_path / "s.zarr"
    prep(raw_ubfc, out, only=["subject1", "subject2"])
    (out / "subject2" / "zarr.json").write_text("{")
    result = prep(raw_ubfc, out, only=["subject1", "subject2"])
    assert result.done == ("subject2",)
    assert result.redone == {"subject2": "what is stored of it cannot be read"}
    assert set(contents(out)) == {"", "subject1", "subject2"}


def test_readers_of_a_store_never_see_half_a_recording(raw_ubfc: Path, tmp_path: Path) -> None:
    out = tmp_path / "s.zarr"
    prep(raw_ubfc, out, only=["subject1"])
    seen: list[int] = []
    stop = threading.Event()

    def watch() -> None:
        while not stop.is_set():
            seen.append(len(contents(out)) - 1)

    thread = threading.Thread(target=watch)
    thread.start()
    prep(raw_ubfc, out)
    stop.set()
    thread.join()
    assert set(seen) <= set(range(1, 9))
    assert len(set(seen)) > 2
