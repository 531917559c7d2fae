"""How far a command is, on standard error: a bar on a terminal, lines in a log."""

import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from tqdm import tqdm

LINE_EVERY_S = 60.0
"""How often a log is told in the middle of a stage."""
LONG_S = 2.0
"""After so long without a word, a command says what it is at."""
LINE_FORMAT = "{desc}{n_fmt} of {total_fmt} {unit}, {elapsed}, {remaining} left{postfix}"


def tell(line: str) -> None:
    """Write a line to standard error now."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


@contextmanager
def told_if_long(line: str) -> Iterator[None]:
    """Write a line to standard error once the block has taken `LONG_S`."""
    timer = threading.Timer(LONG_S, tell, [line])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


class ProgressBar(tqdm):  # type: ignore[type-arg]  # tqdm is generic for type checkers only
    """A bar that goes when it is done; where standard error is no terminal, a line for each stage
    (`set_description`) and each minute, with the time left.

    shown: whether to show anything. The other options are tqdm's.
    """

    def __init__(
        self, iterable: Iterable[Any] | None = None, *, shown: bool, leave: bool = False, **how: Any
    ) -> None:
        self._is_log = shown and not sys.stderr.isatty()
        if self._is_log:
            how |= dict.fromkeys(("mininterval", "maxinterval", "delay"), LINE_EVERY_S)
            how["bar_format"] = LINE_FORMAT
        super().__init__(iterable, disable=not shown, leave=leave, **how)

    def display(self, msg: str | None = None, pos: int | None = None) -> None:
        """Draw the bar, or write a line."""
        if self._is_log:
            tell(msg or str(self))
        else:
            super().display(msg, pos)

    def set_postfix_str(self, s: str = "", refresh: bool = True) -> None:
        """What else to tell; it is no reason for a line of a log."""
        super().set_postfix_str(s, refresh and not self._is_log)

    def close(self) -> None:
        """End the bar; a log needs no clearing."""
        if self._is_log:
            self.disable = True
        super().close()
