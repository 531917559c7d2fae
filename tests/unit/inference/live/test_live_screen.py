"""What a live run looks like, on wide and narrow screens."""

import re

import numpy as np
import pytest

from physkit.core.types import Pulse
from physkit.inference.live.braille import drawn_line
from physkit.inference.live.draw import Glance, status
from physkit.inference.live.screen import Style, fit, screen
from physkit.signal.reading import PulseReading

PLAIN = Style(colour=False, unicode=True)
CODES = re.compile(r"\x1b\[\d+m")


def glance(
    *,
    rate: float | None = 72.4,
    quality: float = 0.8,
    title: str = "camera:0   facephys (torch)",
    is_face_seen: bool = True,
    elapsed_s: float = 83.0,
    can_stream: bool = True,
) -> Glance:
    times_s = np.arange(300) / 30 + elapsed_s - 10
    return Glance(
        title=title,
        pulse=Pulse(np.sin(2 * np.pi * 1.2 * times_s), times_s),
        reading=PulseReading(rate, None, quality, None, None, ()),
        elapsed_s=elapsed_s,
        is_face_seen=is_face_seen,
        can_stream=can_stream,
        fps=29.97,
        latency_ms=11.6,
        latency_p95_ms=17.2,
        n_dropped=3,
    )


@pytest.mark.parametrize("colour", [True, False])
@pytest.mark.parametrize("unicode", [True, False])
@pytest.mark.parametrize(("columns", "rows"), [(80, 24), (200, 60), (40, 24), (40, 10), (20, 3)])
def test_a_screen_is_never_overrun(columns: int, rows: int, unicode: bool, colour: bool) -> None:
    long = glance(title="/a/long/path/" * 20, rate=None, quality=0.2)
    for one in (glance(), long):
        lines = screen(one, columns=columns, rows=rows, style=Style(colour=colour, unicode=unicode))
        shown = [CODES.sub("", line) for line in lines]
        assert len(shown) <= rows
        assert max(map(len, shown)) <= max(columns, 28)
        assert "72 bpm" in "".join(shown) or one is long
        assert colour or "\x1b" not in "".join(lines)
        assert unicode or all(line.isascii() for line in lines)


def test_a_screen_tells_rate_quality_latency_and_drops() -> None:
    text = "\n".join(screen(glance(), columns=80, rows=24, style=PLAIN))
    for told in ("camera:0", "1:23", " 72 bpm", "0.80", "30.0 frames/s", "12 ms (95 %: 17)"):
        assert told in text
    assert "dropped 3" in text
    assert "Ctrl-C" in text


def test_there_is_no_number_where_the_quality_does_not_support_one() -> None:
    weak = glance(rate=None, quality=0.2)
    text = "\n".join(screen(weak, columns=80, rows=24, style=PLAIN))
    assert " -- bpm" in text
    assert "too weak" in text
    assert "no face" in status(glance(is_face_seen=False))
    assert status(glance(rate=None, quality=0.0, elapsed_s=3.0)) == "measuring: 3 of 8 s"
    assert "at the end" in status(glance(can_stream=False))
    assert status(glance()) == ""


def test_a_line_goes_up_and_down_and_leaves_gaps() -> None:
    times_s = np.arange(100) / 10
    samples = np.where(times_s < 5, 0.0, 1.0)
    samples[70:] = np.nan
    lines = drawn_line(samples, times_s, columns=20, rows=4, window_s=10.0, unicode=False)
    assert lines[3].rstrip() == "*" * 10 + "*" * (len(lines[3].rstrip()) - 10)
    assert 9 <= len(lines[3].rstrip()) <= 11
    assert lines[0].strip() == lines[0].strip()[0] * len(lines[0].strip())
    assert 13 <= len(lines[0].rstrip()) <= 15
    flat = drawn_line(np.zeros(100), times_s, columns=20, rows=4, window_s=10.0, unicode=True)
    assert sum(line.strip(" \u2800") != "" for line in flat) == 1
    nothing = drawn_line(
        np.full(9, np.nan), times_s[:9], columns=5, rows=2, window_s=1.0, unicode=True
    )
    assert nothing == ["\u2800" * 5] * 2


def test_a_name_cannot_steer_the_terminal() -> None:
    assert fit("a\x1b[2Jb\n", 8) == "a[2Jb   "
    assert fit("心跳", 3) == "心 "
