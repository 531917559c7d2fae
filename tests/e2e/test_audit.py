"""`physkit audit`: each trap is planted in a tree or a store, found there, and nowhere else."""

import json
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import zarr

import physkit
from physkit.audit.raw import RawTask
from physkit.audit.result import AuditResult
from physkit.audit.tasks import audit_one
from physkit.cli import main
from physkit.core.errors import InputError
from physkit.core.types import Pulse
from physkit.data.readers import READERS
from physkit.data.readers.base import NewRecording
from physkit.data.recording import Label
from physkit.data.store_writer import RecordingWriter, StoredFrame, create_store, new_recording
from physkit.media.frames import Frame
from physkit.synth.generate import Synthesis
from physkit.synth.plan import plan_recording

DURATION_S, FPS, WIDTH, HEIGHT = 14.0, 30.0, 320, 240
Shown = dict[str, np.ndarray]
Measure = Callable[[np.ndarray], Mapping[str, np.ndarray]]


class Clip:
    """One synthetic recording, kept to be written again and again with something wrong."""

    def __init__(self) -> None:
        plan = plan_recording(
            "clean",
            layout="ubfc",
            seed=3,
            subject=1,
            turn=0,
            duration_s=DURATION_S,
            width=WIDTH,
            height=HEIGHT,
            fps=FPS,
        )
        self.synthesis: Synthesis = plan.synthesis()
        self.frames = list(self.synthesis.frames())

    def write(
        self,
        root: Path,
        dataset: str,
        subject: int,
        *,
        frames: list[Frame] | None = None,
        measure: Measure | None = None,
    ) -> str:
        """Written as a recording of its own, which shares no byte-equal file with another."""
        root.mkdir(exist_ok=True)
        measure = measure or self.synthesis.measure
        new = NewRecording(
            subject=subject,
            session=0,
            conditions={},
            width=WIDTH,
            height=HEIGHT,
            fps=FPS,
            duration_s=DURATION_S,
            frames=_marked(frames or self.frames, subject),
            measure=lambda times_s: _scaled(measure(times_s), 1 + subject / 100),
        )
        return READERS[dataset]().write(root, new).name

    def late(self, lag_s: float, drift: float = 0.0) -> Measure:
        """The label, late by so much."""
        middle_s = DURATION_S / 2
        return lambda times_s: self.synthesis.measure(
            times_s - lag_s - drift * (times_s - middle_s)
        )

    def changed(self, change: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Measure:
        """The label, its pulse changed by a function of times and samples."""

        def measure(times_s: np.ndarray) -> Shown:
            shown = dict(self.synthesis.measure(times_s))
            return {**shown, "pulse": change(times_s, shown["pulse"])}

        return measure


def _marked(frames: list[Frame], mark: int) -> Iterator[Frame]:
    for frame in frames:
        rgb = frame.rgb.copy()
        rgb[:4, :4] = mark
        yield Frame(rgb, frame.timestamp_s)


def _scaled(shown: Mapping[str, np.ndarray], scale: float) -> Shown:
    return {**shown, "pulse": shown["pulse"] * scale}


def _faceless(frame: Frame) -> Frame:
    return Frame(np.full_like(frame.rgb, 90), frame.timestamp_s)


def found(result: AuditResult) -> dict[str | None, set[str]]:
    """Names of what was found, by recording."""
    checks: dict[str | None, set[str]] = defaultdict(set)
    for finding in result.findings:
        checks[finding.recording].add(finding.check)
    return dict(checks)


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


def write_stored(
    store: Path,
    name: str,
    clip: Clip,
    *,
    lag_s: float = 0.0,
    seed: int = 0,
    attributes: Mapping[str, object] | None = None,
) -> Path:
    """A prepared recording: crops of even colour that follow the clip's pulse."""
    rng = np.random.default_rng(seed)
    times_s = np.arange(0, DURATION_S, 1 / FPS)
    volume = clip.synthesis.measure(times_s)["pulse"]
    label_s = np.arange(0, DURATION_S, 1 / 60)
    label = clip.synthesis.measure(label_s - lag_s)["pulse"] * (1 + seed / 100)
    create_store(store, dataset="ubfc")
    with new_recording(store, name) as folder:
        writer = RecordingWriter(folder, size_px=36)
        for time_s, beat in zip(times_s, volume, strict=True):
            colour = np.array([190.0, 140.0, 120.0]) - beat * np.array([0.6, 1.6, 1.0])
            crop = np.clip(colour + rng.normal(0, 2, (36, 36, 3)), 0, 255).astype(np.uint8)
            writer.append(StoredFrame(float(time_s), crop, (10.0, 10.0, 90.0, 110.0), 0.9, 0))
        plain = {
            "dataset": "ubfc",
            "subject": name,
            "session": "1",
            "conditions": {},
            "settings": {"size_px": 36, "detector": {"name": "haar"}},
            "source": {"contents_xxh3_128": f"{name}"},
        }
        writer.finish(Label(Pulse(label, label_s)), {**plain, **(attributes or {})})
    return store / name


def rewrite(folder: Path, name: str, change: Callable[[np.ndarray], np.ndarray]) -> None:
    """Changes an array of a stored recording."""
    array = zarr.open_group(folder, mode="r+")[name]
    assert isinstance(array, zarr.Array)
    values = change(np.asarray(array[:]))
    array.resize(values.shape)
    array[...] = values


@pytest.fixture(scope="module")
def store(clip: Clip, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of three recordings with nothing wrong."""
    path = tmp_path_factory.mktemp("store") / "ubfc.zarr"
    for seed in (1, 2, 3):
        write_stored(path, f"subject{seed}", clip, seed=seed)
    return path


def test_a_clean_store_raises_nothing(store: Path) -> None:
    result = physkit.audit(store, workers=1)
    assert result.findings == ()
    assert (result.kind, result.dataset) == ("store", "ubfc")
    assert all(s.lag_ms == pytest.approx(0, abs=15) for s in result.recordings)


def test_a_store_without_recordings_is_refused(tmp_path: Path) -> None:
    create_store(tmp_path / "empty.zarr", dataset="ubfc")
    with pytest.raises(InputError, match=r"empty\.zarr: holds no recordings"):
        physkit.audit(tmp_path / "empty.zarr")


def test_every_trap_of_a_store_is_found(clip: Clip, store: Path, tmp_path: Path) -> None:
    path = tmp_path / "ubfc.zarr"
    shutil.copytree(store, path)
    for seed in range(4, 14):
        options = {"lag_s": 0.133} if seed == 4 else {}
        write_stored(path, f"subject{seed}", clip, seed=seed, **options)
    shutil.rmtree(path / "subject5" / "frames")
    (path / "subject6" / "zarr.json").unlink()
    rewrite(path / "subject7", "timestamps_s", lambda t: np.where(t == t[50], t[40], t))
    rewrite(path / "subject8", "timestamps_s", lambda t: t[:-7])
    rewrite(path / "subject9", "pulse", lambda x: np.where(np.arange(len(x)) == 9, np.nan, x))
    rewrite(path / "subject10", "segment", lambda s: np.where(np.arange(len(s)) < 90, -1, s))
    other = zarr.open_group(path / "subject11", mode="r+")
    other.attrs["settings"] = {"size_px": 36, "detector": {"name": "blazeface"}}
    rewrite(
        path / "subject12", "pulse", lambda _: np.asarray(zarr.open_group(path)["subject1/pulse"])
    )
    other = zarr.open_group(path / "subject13", mode="r+")
    other.attrs["source"] = {"contents_xxh3_128": "subject2"}
    staging = tmp_path / ".ubfc.zarr.unfinished" / "subject20.x"
    staging.mkdir(parents=True)
    result = physkit.audit(path, workers=1)
    assert found(result) == {
        "subject4": {"lag"},
        "subject5": {"damaged"},
        None: {"half-written"},
        "subject7": {"frame-times"},
        "subject8": {"count-mismatch"},
        "subject9": {"label-not-finite"},
        "subject10": {"face-coverage"},
        "subject11": {"mixed-settings"},
        "subject12": {"duplicate-label"},
        "subject13": {"duplicate"},
    }
    assert sum(f.check == "half-written" for f in result.findings) == 2
    mixed = next(f for f in result.findings if f.check == "mixed-settings")
    assert "haar -> blazeface" in mixed.message


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
