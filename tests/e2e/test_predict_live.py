"""`physkit predict` in real time: a file played as by a camera, a camera that vanishes, Ctrl-C."""

import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import ctrl_c
import cv2
import numpy as np
import pytest
from clips import stored_pictures

import physkit
from physkit.cli import main
from physkit.core.errors import InputError
from physkit.inference.live.queue import Captured, FreshQueue
from physkit.inference.stream import ModelReader

FACEPHYS_BPM = 52.5
CODES = re.compile(r"\x1b\[\??[\d;]*[a-zA-Z]")


def test_a_file_played_live_reads_as_the_file(
    face_mp4: Path, released_weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["predict", str(face_mp4), "--live", "--weights", str(released_weights), "--json"]
    start_s = time.monotonic()
    assert main([*words, "--duration_s", "9", "--view", "none"]) == 0
    assert time.monotonic() - start_s > 8.5  # in real time, not faster
    answer = json.loads(capsys.readouterr().out)
    assert answer["live"].keys() == {"latency_median_ms", "latency_p95_ms", "dropped_frames"}
    assert 0 < answer["live"]["latency_median_ms"] <= answer["live"]["latency_p95_ms"]
    assert answer["n_frames"] + answer["live"]["dropped_frames"] == 270
    assert len(answer["waveform"]) == answer["n_frames"]
    assert (np.diff(answer["timestamps_s"]) > 0).all()
    if answer["live"]["dropped_frames"] < 27:  # a busy machine may not keep up
        assert answer["heart_rate_bpm"] == pytest.approx(FACEPHYS_BPM, abs=3.0)


class BorrowedCamera:
    """A camera that shows a film of 3 s at 30 Hz, and is then unplugged."""

    pictures: Iterator[np.ndarray]
    is_released = False

    def __init__(self, _: int) -> None:
        self.start_s: float | None = None
        self.n_shown = 0

    def isOpened(self) -> bool:  # noqa: N802 - OpenCV's name
        return True

    def get(self, _: int) -> float:
        return 30.0

    def grab(self) -> bool:
        self.start_s = time.monotonic() if self.start_s is None else self.start_s
        time.sleep(max(0.0, self.start_s + self.n_shown / 30 - time.monotonic()))
        self.n_shown += 1
        return self.n_shown <= 90

    def retrieve(self) -> tuple[bool, np.ndarray]:
        return True, np.ascontiguousarray(next(self.pictures)[..., ::-1])

    def release(self) -> None:
        type(self).is_released = True


@pytest.fixture
def borrowed_camera(face_mp4: Path, monkeypatch: pytest.MonkeyPatch) -> type[BorrowedCamera]:
    camera = type("Camera", (BorrowedCamera,), {})
    camera.pictures = iter(list(islice(stored_pictures(face_mp4), 90)))
    monkeypatch.setattr(cv2, "VideoCapture", camera)
    monkeypatch.setattr("sys.platform", "darwin")
    return camera


def test_a_camera_that_disappears_ends_with_what_was_measured(
    borrowed_camera: type[BorrowedCamera],
    released_weights: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ["predict", "camera:0", "--weights", str(released_weights), "--json"]
    assert main(words) == 0
    answer = json.loads(capsys.readouterr().out)
    assert borrowed_camera.is_released
    told = [one for one in answer["warnings"] if "camera:0: the camera stopped" in one]
    assert len(told) == 1
    assert re.search(r"after \d\.\d\d s", told[0])
    assert answer["n_frames"] + answer["live"]["dropped_frames"] == 90
    assert sum(value is not None for value in answer["waveform"]) > 0
    assert answer["heart_rate_bpm"] is None  # 3 s are too few


def test_a_camera_that_shows_nothing_is_an_error(
    borrowed_camera: type[BorrowedCamera], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(borrowed_camera, "grab", lambda _: False)
    with pytest.raises(InputError, match="camera:0: the camera delivers no picture"):
        physkit.predict("camera:0")


def test_a_slow_stage_drops_late_frames_and_nothing_piles_up(
    face_mp4: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lengths: list[int] = []
    read, put = ModelReader.read, FreshQueue.put

    def slow_read(self: ModelReader, crops: np.ndarray, dt_s: np.ndarray) -> np.ndarray:
        time.sleep(0.15 * len(crops))
        return read(self, crops, dt_s)

    def watched_put(self: FreshQueue[object], frame: Captured[object]) -> None:
        put(self, frame)
        lengths.append(len(self))

    monkeypatch.setattr(ModelReader, "read", slow_read)
    monkeypatch.setattr(FreshQueue, "put", watched_put)
    result = physkit.predict(face_mp4, model="pos", live=True, duration_s=3.0)
    assert result.live is not None
    assert result.live.dropped_frames > 30
    assert result.n_frames + result.live.dropped_frames == 90
    assert (np.diff(result.pulse.timestamps_s) > 0).all()
    assert max(lengths) <= 32
    assert any("came too late" in warning for warning in result.warnings)


class Terminal:
    """A command whose standard error is a terminal of a given size, and what it wrote there."""

    def __init__(self, *words: str, columns: int, rows: int, env: dict[str, str]) -> None:
        self.keyboard, terminal = pty.openpty()
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "physkit.cli", *words],
            stdout=subprocess.PIPE,
            stderr=terminal,
            env=os.environ | {"TERM": "xterm", "PYTHONIOENCODING": "utf-8"} | env,
            preexec_fn=ctrl_c.heed,
        )
        os.close(terminal)
        self.shown = ""

    def read_until(self, text: str | None) -> None:
        """Reads on until a text was shown, or (None) the command closes its terminal."""
        raw, give_up_s = b"", time.monotonic() + 60
        before = self.shown
        while text is None or text not in self.shown:
            assert time.monotonic() < give_up_s, self.shown[-2000:]
            try:
                raw += os.read(self.keyboard, 65536)
            except OSError:  # Linux tells so that the other end was closed
                break
            self.shown = before + raw.decode(errors="ignore")

    def screens(self) -> list[list[str]]:
        """Each screen, as its lines."""
        parts = self.shown.split("\x1b[H")[1:]
        return [re.split(r"\r+\n", CODES.sub("", part)) for part in parts]

    def end(self) -> tuple[int, str]:
        self.read_until(None)
        out, _ = self.process.communicate(timeout=30)
        os.close(self.keyboard)
        return self.process.returncode, out.decode()


def test_ctrl_c_ends_the_live_view_with_what_was_measured(
    face_mp4: Path, released_weights: Path
) -> None:
    words = ["predict", str(face_mp4), "--live", "--weights", str(released_weights), "--json"]
    terminal = Terminal(*words, columns=80, rows=24, env={})
    terminal.read_until("0:03   ")
    terminal.process.send_signal(signal.SIGINT)
    status, out = terminal.end()
    assert status == 0, terminal.shown[-2000:]
    answer = json.loads(out)
    assert 60 < answer["n_frames"] + answer["live"]["dropped_frames"] < 280
    first = terminal.shown.split("face.mp4")[0]
    assert "\x1b[?1049h" in first  # the second screen
    assert "\x1b[?25l" in first  # without a cursor
    assert terminal.shown.rstrip().endswith("\x1b[?25h\x1b[?1049l")
    assert "Traceback" not in terminal.shown
    screens = terminal.screens()
    assert max(len(lines) for lines in screens) <= 24
    assert max(len(line) for lines in screens for line in lines) <= 80
    last = "\n".join(screens[-1])
    assert "facephys (torch)" in last
    assert "measuring" in last
    assert re.search(r"[\u2801-\u28ff]", last)
    assert any("frames/s   latency" in line for lines in screens for line in lines)


def test_the_live_view_fits_a_narrow_screen_and_shows_no_colour_unless_wanted(
    face_mp4: Path, released_weights: Path
) -> None:
    words = ["predict", str(face_mp4), "--live", "--weights", str(released_weights)]
    terminal = Terminal(*words, "--duration_s", "2", columns=40, rows=20, env={"NO_COLOR": "1"})
    status, out = terminal.end()
    assert status == 0, terminal.shown[-2000:]
    assert "latency" in out
    assert not re.search(r"\x1b\[\d*m", terminal.shown)
    for lines in terminal.screens():
        assert len(lines) <= 20
        assert max(map(len, lines)) <= 40


def test_a_view_needs_a_terminal(face_mp4: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", str(face_mp4), "--live", "--view", "terminal"]) == 2
    assert "standard error is no terminal" in capsys.readouterr().err


def test_the_compiled_form_runs_under_its_own_name(face_mp4: Path) -> None:
    pytest.importorskip("physkit.runtime.engines.torch_compiled")
    result = physkit.predict(face_mp4, runtime="torch-compiled", duration_s=3.0)
    assert result.runtime == "torch-compiled"
    torch = physkit.predict(face_mp4, duration_s=3.0)
    np.testing.assert_allclose(result.pulse.samples, torch.pulse.samples, atol=2e-4)
