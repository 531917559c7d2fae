"""Texts of a cue file: found by recording and frame, and what is wrong with a file said by line."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from physkit.core.errors import InputError
from physkit.models.physllm.cue_file import CueFile
from physkit.models.physllm.measured import measured_cue

BY = {"model": "a/llava", "revision": "1", "prompt": "abc", "source": "llava"}


def write(path: Path, *lines: Any) -> Path:
    texts = [line if isinstance(line, str) else json.dumps({**BY, **line}) for line in lines]
    path.write_text("\n".join(texts), encoding="utf-8")
    return path


def test_a_text_holds_from_its_frame_on(tmp_path: Path) -> None:
    cues = CueFile.read(
        write(
            tmp_path / "c.jsonl",
            {"recording": "pure/01-01", "text": "later", "frame": 128},
            {"recording": "pure/01-01", "text": "first", "frame": 0},
            {"recording": "pure/01-02", "text": "one for all", "frame": None},
        )
    )
    frames = (0, 127, 128, 900)
    assert [cues.text("pure/01-01", frame=f) for f in frames] == ["first"] * 2 + ["later"] * 2
    assert cues.text("pure/01-02", frame=500) == "one for all"
    assert cues.text("pure/01-01", frame=5, wrong=True) == "one for all"
    with pytest.raises(InputError, match=r"has no text on pure/09-01; complete it by physkit cues"):
        cues.text("pure/09-01", frame=0)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], "holds no texts"),
        (["{"], "line 1: not as physkit cues writes it"),
        (["5"], "line 1: not as physkit cues writes it"),
        ([{"recording": "a"}], "line 1: not as physkit cues writes it"),
        (
            [{"recording": "a", "text": "x"}, {"recording": "b", "text": "y", "prompt": "other"}],
            "line 2: prompt other, and abc before",
        ),
        (
            [{"recording": "a", "text": "x"}, {"recording": "b", "text": "y", "model": "other"}],
            "line 2: model other, and a/llava before",
        ),
    ],
)
def test_what_is_wrong_with_a_file_is_told_by_its_line(
    lines: list[Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=message) as caught:
        CueFile.read(write(tmp_path / "c.jsonl", *lines))
    assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match=r"cannot be read .*make it by physkit cues"):
        CueFile.read(tmp_path / "none.jsonl")


def face(rgb: tuple[int, int, int], n: int = 30, *, move: float = 0, left: int = 0) -> np.ndarray:
    frames = np.tile(np.array(rgb, float), (n, 32, 32, 1))
    frames[:, :, :16] += left
    if move:
        frames += move * np.random.default_rng(0).normal(size=(n, 32, 32, 1))
    return frames.clip(0, 255).astype(np.uint8)


def test_measurements_are_said_in_words_that_follow_them() -> None:
    assert "very light" in measured_cue(face((245, 215, 200)))
    assert "dark" in measured_cue(face((70, 45, 30)))
    assert "Motion: still" in measured_cue(face((200, 150, 130)))
    assert "moving a lot" in measured_cue(face((200, 150, 130), move=20))
    assert "from the left" in measured_cue(face((150, 110, 90), left=40))
    assert "from the right" in measured_cue(face((190, 150, 130), left=-40))
    fading = face((200, 150, 130)) * np.linspace(1, 0.7, 30)[:, None, None, None]
    assert "changing" in measured_cue(fading.astype(np.uint8))
    assert measured_cue(face((0, 0, 0), n=1)).startswith("Measured in the pictures")
