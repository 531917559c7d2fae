"""The live view in a terminal, by control codes that every terminal knows."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

from physkit.core.errors import InputError
from physkit.inference.live.draw import Glance
from physkit.inference.live.screen import Style, screen

ENTER, LEAVE = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"
"""Another screen without a cursor, and back to what was there before."""
HOME, REST_OF_LINE, REST_OF_SCREEN = "\x1b[H", "\x1b[K", "\x1b[J"
USUAL_SIZE = (80, 24)

Show = Callable[[Glance], None]


def chosen_stream(view: str, *, wanted: bool) -> TextIO | None:
    """Where a view called `view` is drawn: standard error, so that the result can be piped.

    None without one: "none", or "auto" where it is not `wanted` or no terminal is there.
    Raises InputError for "terminal" without a terminal.
    """
    is_terminal = sys.stderr.isatty() and os.environ.get("TERM", "dumb") != "dumb"
    if view == "terminal" and not is_terminal:
        raise InputError("--view terminal: standard error is no terminal; use --view none")
    is_wanted = view == "terminal" or (view == "auto" and wanted)
    return sys.stderr if is_terminal and is_wanted else None


@contextmanager
def terminal_view(stream: TextIO) -> Iterator[Show]:
    """A screen of its own, as long as it is used; what draws on it."""
    style = Style(
        colour=not os.environ.get("NO_COLOR"),
        unicode=(stream.encoding or "").lower().replace("-", "") == "utf8",
    )

    def show(glance: Glance) -> None:
        columns, rows = _size(stream)
        lines = screen(glance, columns=columns, rows=rows, style=style)
        # Cleared before it is written: after a full line that would clear its last character.
        # The last line ends without a line break, which would scroll a full screen.
        text = "\r\n".join(REST_OF_LINE + line for line in lines)
        stream.write(HOME + text + REST_OF_SCREEN)
        stream.flush()

    try:
        stream.write(ENTER)
        yield show
    finally:
        stream.write(LEAVE)
        stream.flush()


def _size(stream: TextIO) -> tuple[int, int]:
    columns, rows = os.get_terminal_size(stream.fileno())
    return (columns, rows) if columns > 0 and rows > 0 else USUAL_SIZE
