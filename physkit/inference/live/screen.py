"""What a live run looks like in characters."""

import unicodedata
from dataclasses import dataclass

from physkit.inference.live.braille import drawn_line
from physkit.inference.live.draw import SHOWN_S, Glance, status

GOOD, FAIR = 0.6, 0.35
"""Signal qualities from which on a pulse is good, and fair."""
BAR = 10
"""Characters of the bar of signal quality."""
MOST_ROWS = 10
"""Lines of waveform on a tall screen."""
EMPTY = " \u2800"
"""Characters without a dot."""
RED, GREEN, YELLOW, BOLD, DIM, PLAIN = (f"\x1b[{n}m" for n in (31, 32, 33, 1, 2, 0))


@dataclass(frozen=True)
class Style:
    """What a terminal can show."""

    colour: bool
    """Colours and bold letters."""
    unicode: bool
    """Braille and blocks; else ASCII alone."""

    def paint(self, text: str, *codes: str) -> str:
        """The text in a colour, where there are colours."""
        return f"{''.join(codes)}{text}{PLAIN}" if self.colour and text.strip() else text


def screen(glance: Glance, *, columns: int, rows: int, style: Style) -> list[str]:
    """At most `rows` lines of at most `columns` characters, the most important ones first."""
    head = [_title(glance, columns), ""]
    vital = _vital(glance, columns, style)
    foot = _foot(glance, columns)
    n_wave = min(MOST_ROWS, rows - len(head) - len(vital) - len(foot) - 3)
    if n_wave < 2:
        return [*vital, style.paint(foot[0], DIM)][:rows]
    wave = drawn_line(
        glance.pulse.samples,
        glance.pulse.timestamps_s,
        columns=columns,
        rows=n_wave,
        window_s=SHOWN_S,
        unicode=style.unicode,
    )
    axis = f"-{SHOWN_S:.0f} s".ljust(columns - 3) + "now"
    return [
        style.paint(head[0], BOLD),
        "",
        *vital,
        "",
        *(style.paint(line.rstrip(EMPTY), RED) for line in wave),
        style.paint(axis, DIM),
        "",
        *(style.paint(line, DIM) for line in foot),
    ]


def _title(glance: Glance, columns: int) -> str:
    minutes, seconds = divmod(int(glance.elapsed_s), 60)
    clock = f"{minutes}:{seconds:02d}"
    return f"{fit(glance.title, columns - len(clock) - 1)} {clock}"


def _vital(glance: Glance, columns: int, style: Style) -> list[str]:
    """Heart rate, quality, and why there is none."""
    reading = glance.reading
    rate = None if reading is None else reading.heart_rate_bpm
    quality = 0.0 if reading is None else reading.signal_quality
    shown = "--" if rate is None else f"{rate:.0f}"
    heart = style.paint(f"{shown:>3s} bpm", BOLD)
    colour = GREEN if quality >= GOOD else YELLOW if quality >= FAIR else RED
    full, empty = ("█", "░") if style.unicode else ("#", ".")
    n_full = round(quality * BAR)
    told = "--  " if quality == 0 else f"{quality:.2f}"
    bar = style.paint(full * n_full, colour) + empty * (BAR - n_full)
    line = f"heart rate {heart}   quality {bar} {told}"
    if columns < len(f"heart rate {'':7s}   quality {'':{BAR}s} 0.00"):
        line = f"{heart}  {bar} {told}"
    return [line, fit(status(glance), columns).rstrip()]


def _foot(glance: Glance, columns: int) -> list[str]:
    latency = "latency --"
    if glance.latency_ms is not None and glance.latency_p95_ms is not None:
        latency = f"latency {glance.latency_ms:.0f} ms (95 %: {glance.latency_p95_ms:.0f})"
    parts = [f"{glance.fps:.1f} frames/s", latency, f"dropped {glance.n_dropped}"]
    line = "   ".join(parts)
    lines = [line] if len(line) <= columns else parts
    return [fit(text, columns).rstrip() for text in (*lines, "Ctrl-C ends it and tells the result")]


def fit(text: str, columns: int) -> str:
    """The text, cut or filled up to so many columns; control characters are left out.

    A character of two columns counts as two.
    """
    kept, width = [], 0
    for letter in text:
        if not letter.isprintable():
            continue
        wide = 2 if unicodedata.east_asian_width(letter) in "WF" else 1
        if width + wide > columns:
            break
        kept.append(letter)
        width += wide
    return "".join(kept) + " " * (columns - width)
