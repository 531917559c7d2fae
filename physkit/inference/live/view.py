"""The live view: waveform, heart rate, quality and latency on a terminal, drawn by rich."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TextIO

import numpy as np
from einops import rearrange
from jaxtyping import Bool, Float
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from physkit.core.errors import InputError
from physkit.core.types import Pulse
from physkit.inference.live.measure import RECENT_FRAMES, Measurement
from physkit.signal.reading import MIN_SEEN_S, PulseReading, QualityGate, read_pulse

SHOWN_S = 10.0
"""Seconds of waveform on the screen."""
READ_S = 12.0
"""Seconds of waveform that a heart rate is read from: few enough to follow it, and half more than
it needs."""
READ_EVERY_S = 1.0
"""How often it is read anew."""
RATE_S = 3.0
"""Seconds over which the frame rate is counted."""
GOOD, FAIR = 0.6, 0.35
"""Signal qualities from which on a pulse is good, and fair."""
QUALITY_COLUMNS = 10
"""Characters of the bar of signal quality."""
MOST_ROWS = 20
"""Lines of waveform on a tall screen."""
USUAL_SIZE = (80, 24)
"""Columns and rows of a terminal that does not know its size."""
NO_TERMINALS = ("dumb", "unknown")
"""Values of TERM for which rich moves no cursor."""
DOTS = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]])
"""Which bit of a braille character each of its dots is."""
BLANK = 0x2800
"""The braille character without a dot."""
TRIM = (2.0, 98.0)
"""Percentiles of the samples between which the line has its full height."""


@dataclass(frozen=True, eq=False)
class LiveState:
    """A live run at one moment."""

    title: str
    """What is read, and by what."""
    pulse: Pulse
    """The latest `SHOWN_S` of waveform; NaN where no face was seen or the sample is still owed."""
    reading: PulseReading | None
    """What the latest `READ_S` say; None before the first reading."""
    elapsed_s: float
    """Since the first frame."""
    is_face_seen: bool
    """Whether the latest frame shows a face."""
    can_stream: bool
    """Whether pulse comes while frames do."""
    fps: float
    """Frames a second that are read."""
    latency_ms: float | None
    """From a frame to its answer: the median of the last answers."""
    latency_p95_ms: float | None
    """Of 95 in 100 of them, at most."""
    n_dropped: int
    """Late frames that were never read."""


Show = Callable[[LiveState], None]


class LiveView:
    """Looks at a measurement when told to, and shows its state.

    The heart rate is read here, and not where frames have to be answered.
    """

    def __init__(
        self,
        show: Show | None,
        measurement: Measurement,
        *,
        title: str,
        n_dropped: Callable[[], int],
        gate: QualityGate | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._show = show
        self._measurement = measurement
        self._title = title
        self._gate = gate
        self._n_dropped = n_dropped
        self._clock = clock
        self._read_at_s = 0.0
        self._reading: PulseReading | None = None

    def draw(self) -> None:
        """Shows the latest state."""
        if self._show is None:
            return
        recent = self._measurement.recent(max(SHOWN_S, READ_S))
        if not len(recent.samples):
            return
        now_s = self._clock()
        if self._reading is None or now_s - self._read_at_s >= READ_EVERY_S:
            self._reading = read_pulse(_last(recent, READ_S), gate=self._gate)
            self._read_at_s = now_s
        self._show(self._state(recent))

    def _state(self, recent: Pulse) -> LiveState:
        now_s = float(recent.timestamps_s[-1])
        lately_s = recent.timestamps_s[recent.timestamps_s >= now_s - RATE_S]
        span_s = float(np.ptp(lately_s))
        latency_ms, p95_ms = self._measurement.latency_ms(n_last=RECENT_FRAMES)
        return LiveState(
            title=self._title,
            pulse=_last(recent, SHOWN_S),
            reading=self._reading,
            elapsed_s=now_s - self._measurement.first_s,
            is_face_seen=self._measurement.is_face_seen,
            can_stream=self._measurement.can_stream,
            fps=(len(lately_s) - 1) / span_s if span_s > 0 else 0.0,
            latency_ms=latency_ms,
            latency_p95_ms=p95_ms,
            n_dropped=self._n_dropped(),
        )


def chosen_stream(view: str, *, wanted: bool) -> TextIO | None:
    """Where a view called `view` is drawn: standard error, so that the result can be piped.

    None without one: "none", or "auto" where it is not `wanted` or no terminal is there.
    Raises InputError for "terminal" without a terminal.
    """
    is_terminal = sys.stderr.isatty() and os.environ.get("TERM", "dumb") not in NO_TERMINALS
    if view == "terminal" and not is_terminal:
        raise InputError("--view terminal: standard error is no terminal; use --view none")
    is_wanted = view == "terminal" or (view == "auto" and wanted)
    return sys.stderr if is_terminal and is_wanted else None


@contextmanager
def terminal_view(stream: TextIO) -> Iterator[Show]:
    """The terminal's second screen, until the context ends; what draws on it."""
    console = Console(
        file=stream,
        force_terminal=True,  # it is one: rich would also ask FORCE_COLOR and the like
        force_interactive=True,
        color_system=None if os.environ.get("NO_COLOR") else "auto",
    )
    live = Live(
        console=console,
        screen=True,
        auto_refresh=False,
        redirect_stdout=False,
        redirect_stderr=False,
    )

    def show(state: LiveState) -> None:
        columns, rows = os.get_terminal_size(stream.fileno())
        console.size = (columns, rows) if columns > 0 and rows > 0 else USUAL_SIZE
        live.update(screen(state, console.options), refresh=True)

    with live:
        yield show


def screen(state: LiveState, options: ConsoleOptions) -> RenderableType:
    """What a terminal of the size in `options` shows; the most important lines come first."""
    columns, rows = options.size
    told = _line(status(state), options)
    vital: tuple[RenderableType, ...] = (_rate_and_quality(state, is_short=columns < 50), told)
    foot = [_line(line, options, "dim") for line in _figures(state, columns=columns - 4)]
    n_wave = min(MOST_ROWS, rows - 2 - len(vital) - len(foot) - 3)  # frame, axis, empty lines
    if n_wave < 2:
        return Group(*vital, *foot)
    axis = Table.grid(expand=True)
    axis.add_column(justify="left")
    axis.add_column(justify="right")
    axis.add_row(f"-{SHOWN_S:.0f} s", "now", style="dim")
    return Panel(
        Group(*vital, "", WaveformPlot(state.pulse, n_wave), axis, "", *foot),
        title=_line(state.title, options, "bold"),
        title_align="left",
        subtitle=_line("Ctrl-C: end and show the result", options, "dim"),
        subtitle_align="right",
        border_style="dim",
        height=n_wave + len(vital) + len(foot) + 5,
    )


def _rate_and_quality(state: LiveState, *, is_short: bool) -> Table:
    reading = state.reading
    rate = None if reading is None else reading.heart_rate_bpm
    quality = 0.0 if reading is None else reading.signal_quality
    colour = "green" if quality >= GOOD else "yellow" if quality >= FAIR else "red"
    bar = ProgressBar(
        total=1,
        completed=quality,
        width=QUALITY_COLUMNS,
        complete_style=colour,
        finished_style=colour,
    )
    heart = Text(f"{'--' if rate is None else f'{rate:.0f}':>3s} bpm", "bold")
    told = "--" if quality == 0 else f"{quality:.2f}"
    cells = (heart, bar, told) if is_short else ("heart rate", heart, "  quality", bar, told)
    table = Table.grid(padding=(0, 1))
    for cell in cells:
        table.add_column(no_wrap=cell is not bar)  # the bar alone gives way on a narrow screen
    table.add_row(*cells)
    return table


def status(state: LiveState) -> str:
    """Why there is no heart rate, or none yet; nothing where there is one."""
    reading = state.reading
    if not state.can_stream:
        return "this method answers at the end"
    if not state.is_face_seen:
        return "no face: show one upright face, large and well lit"
    if reading is None or reading.heart_rate_bpm is not None:
        return ""
    seen_s = float(np.isfinite(state.pulse.samples).mean()) * SHOWN_S
    if state.elapsed_s < MIN_SEEN_S or reading.signal_quality == 0:
        return f"measuring: {min(seen_s, state.elapsed_s):.0f} of {MIN_SEEN_S:.0f} s"
    return "the pulse is too weak for a number: hold still, face the light"


def _figures(state: LiveState, *, columns: int) -> list[str]:
    minutes, seconds = divmod(int(state.elapsed_s), 60)
    latency = "latency --"
    if state.latency_ms is not None and state.latency_p95_ms is not None:
        latency = f"latency {state.latency_ms:.0f} ms (95 %: {state.latency_p95_ms:.0f})"
    speed, dropped = (
        f"{minutes}:{seconds:02d}   {state.fps:.1f} frames/s",
        f"dropped {state.n_dropped}",
    )
    line = f"{speed}   {latency}   {dropped}"
    return [line] if len(line) <= columns else [f"{speed}   {dropped}", latency]


def _line(text: str, options: ConsoleOptions, style: str = "") -> Text:
    """One line, cut at the end of the screen. Control characters are left out: a file's name must
    not steer the terminal."""
    shown = "".join(letter for letter in text if letter.isprintable())
    return Text(shown, style, no_wrap=True, overflow="crop" if options.ascii_only else "ellipsis")


@dataclass(frozen=True, eq=False)
class WaveformPlot:
    """The last `SHOWN_S` of a pulse as a line, the latest at the right; NaN are gaps.

    Ours: rich has no plots. In braille, of two by four dots a character; in asterisks where the
    terminal has ASCII alone.
    """

    pulse: Pulse
    """What is drawn."""
    rows: int
    """Height in characters; the width is that of the place."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Called by rich for the lines."""
        width, height = 2 * options.max_width, 4 * self.rows
        dots = line_dots(self.pulse, width=width, height=height, window_s=SHOWN_S)
        cells = rearrange(dots, "(row y) (column x) -> row column y x", y=4, x=2)
        if options.ascii_only:
            codes = np.where(cells.any(axis=(2, 3)), ord("*"), ord(" "))
        else:
            codes = BLANK + (cells * DOTS).sum(axis=(2, 3))
        style = console.get_style("red")
        for row in codes.tolist():
            yield Segment("".join(map(chr, row)), style)
            yield Segment.line()


def line_dots(
    pulse: Pulse, *, width: int, height: int, window_s: float
) -> Bool[np.ndarray, "height width"]:
    """Dots that are set, the first row on top; neighbours in time are joined."""
    dots = np.zeros((height, width), bool)
    samples, times_s = pulse.samples, pulse.timestamps_s
    seen = np.isfinite(samples)
    if not seen.any():
        return dots
    low, high = np.percentile(samples[seen], TRIM)
    share = np.full(len(samples), 0.5)
    if high > low:
        share[seen] = np.clip((samples[seen] - low) / (high - low), 0, 1)
    x = np.floor((1 - (times_s[-1] - times_s) / window_s) * width - 1e-9)
    y = np.rint((1 - share) * (height - 1))
    drawn = seen & (x >= 0) & (x < width)
    joined = drawn & np.append(drawn[1:], False)
    dx, dy = (_steps(values, joined) for values in (x, y))
    n = np.maximum(np.maximum(np.abs(dx), np.abs(dy)), 1)
    part = np.minimum(np.arange(int(n.max()) + 1)[:, None] / n, 1)
    columns, rows = np.rint(x + part * dx), np.rint(y + part * dy)
    dots[rows[:, drawn].astype(int), columns[:, drawn].astype(int)] = True
    return dots


def _steps(values: Float[np.ndarray, "t"], joined: Bool[np.ndarray, "t"]) -> Float[np.ndarray, "t"]:
    """From each value to the next, and 0 where they are not joined."""
    return np.where(joined, np.diff(values, append=values[-1]), 0.0)


def _last(pulse: Pulse, window_s: float) -> Pulse:
    kept = pulse.timestamps_s >= pulse.timestamps_s[-1] - window_s
    return Pulse(pulse.samples[kept], pulse.timestamps_s[kept])
