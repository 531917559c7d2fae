"""What a live run looks like, on wide and narrow screens."""

import fcntl
import io
import os
import pty
import re
import select
import struct
import termios

import numpy as np
import pytest
from rich.console import Console
from rich.screen import Screen

from physkit.core.types import Pulse
from physkit.inference.live.view import LiveState, line_dots, screen, status, terminal_view
from physkit.signal.reading import PulseReading

CODES = re.compile(r"\x1b\[[\d;]*m")


class Terminal(io.StringIO):
    """A stream that tells its encoding."""

    encoding = "utf-8"


class AsciiTerminal(Terminal):
    encoding = "ascii"


def drawn(
    state: LiveState,
    *,
    columns: int = 80,
    rows: int = 24,
    colour: bool = False,
    unicode: bool = True,
) -> str:
    """The characters of a whole screen."""
    console = Console(
        file=Terminal() if unicode else AsciiTerminal(),
        width=columns,
        height=rows,
        force_terminal=True,
        color_system="standard" if colour else None,
    )
    with console.capture() as captured:
        console.print(Screen(screen(state, console.options)), end="")
    return captured.get()


def live_state(
    *,
    rate: float | None = 72.4,
    quality: float = 0.8,
    title: str = "camera:0   facephys (torch)",
    is_face_seen: bool = True,
    elapsed_s: float = 83.0,
    can_stream: bool = True,
) -> LiveState:
    times_s = np.arange(300) / 30 + elapsed_s - 10
    return LiveState(
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
    long = live_state(title="/a/long/path/" * 20, rate=None, quality=0.2)
    for one in (live_state(), long):
        text = drawn(one, columns=columns, rows=rows, colour=colour, unicode=unicode)
        lines = CODES.sub("", text).splitlines()
        assert len(lines) <= rows
        assert max(map(len, lines)) <= columns
        assert "72 bpm" in "".join(lines) or one is long
        assert colour or "\x1b" not in text
        assert unicode or text.isascii()


def test_a_screen_tells_rate_quality_latency_and_drops() -> None:
    text = drawn(live_state())
    for told in ("camera:0", "1:23", " 72 bpm", "0.80", "30.0 frames/s", "12 ms (95 %: 17)"):
        assert told in text
    assert "dropped 3" in text
    assert "Ctrl-C" in text


def test_a_narrow_screen_tells_the_same() -> None:
    text = drawn(live_state(), columns=40, rows=16)
    for told in ("camera:0", "1:23", "72 bpm", "0.80", "30.0 frames/s", "12 ms (95 %: 17)"):
        assert told in text
    assert "dropped 3" in text
    assert re.search(r"[\u2801-\u28ff]", text)


def test_the_bar_has_the_colour_of_the_quality() -> None:
    for quality, code in ((0.8, 32), (0.4, 33), (0.2, 31)):
        text = drawn(live_state(quality=quality), colour=True)
        assert f"\x1b[{code}m\u2501" in text


def test_there_is_no_number_where_the_quality_does_not_support_one() -> None:
    text = drawn(live_state(rate=None, quality=0.2))
    assert " -- bpm" in text
    assert "too weak" in text
    assert "no face" in status(live_state(is_face_seen=False))
    assert status(live_state(rate=None, quality=0.0, elapsed_s=3.0)) == "measuring: 3 of 8 s"
    assert "at the end" in status(live_state(can_stream=False))
    assert status(live_state()) == ""


def test_a_line_goes_up_and_down_and_leaves_gaps() -> None:
    times_s = np.arange(100) / 10
    samples = np.where(times_s < 5, 0.0, 1.0)
    samples[70:] = np.nan
    dots = line_dots(Pulse(samples, times_s), width=40, height=16, window_s=10.0)
    low, high = np.flatnonzero(dots[-1]), np.flatnonzero(dots[0])
    assert low[0] == 0
    assert low[-1] == high[0] or high[0] - low[-1] == 1  # where it goes up
    assert 18 <= high[0] <= 22
    assert 26 <= high[-1] <= 29
    assert dots[1:-1].any(axis=1).all()  # the way up is drawn
    assert not dots[:, high[-1] + 1 :].any()
    flat = line_dots(Pulse(np.zeros(100), times_s), width=40, height=16, window_s=10.0)
    assert flat.any(axis=1).sum() == 1
    assert flat.any(axis=0).sum() > 30
    nothing = Pulse(np.full(9, np.nan), times_s[:9])
    assert not line_dots(nothing, width=10, height=8, window_s=1.0).any()


def test_a_name_cannot_steer_the_terminal() -> None:
    text = drawn(live_state(title="a\x1b[2Jb\n[bold]c[/bold]"))
    assert "\x1b" not in text
    assert " a[2Jb[bold]c[/bold] " in text
    wide = drawn(live_state(title="\u5fc3\u8df3" * 40), columns=60).splitlines()[0]
    assert "\u5fc3" in wide
    assert len(wide) + sum(letter in "\u5fc3\u8df3" for letter in wide) == 60


def test_an_error_leaves_the_terminal_as_it_was_and_a_new_size_counts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    keyboard, terminal = pty.openpty()

    def resize(columns: int, rows: int) -> None:
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def written() -> str:
        """All that has come since."""
        raw = b""
        while select.select([keyboard], [], [], 0.3)[0]:
            raw += os.read(keyboard, 65536)
        return raw.decode()

    def draw_and_fail() -> None:
        with terminal_view(stream) as show:
            for columns in (80, 40):
                resize(columns, 12)
                show(live_state())
                lines = CODES.sub("", written().rpartition("\x1b[H")[2]).splitlines()
                assert {len(line) for line in lines if line} == {columns}
            raise ValueError("in the middle")

    with os.fdopen(terminal, "w", encoding="utf-8") as stream:
        with pytest.raises(ValueError, match="in the middle"):
            draw_and_fail()
        assert written().endswith("\x1b[?25h\x1b[?1049l")
    os.close(keyboard)
