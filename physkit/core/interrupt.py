"""Ctrl-C as a wish to end well."""

import os
import signal
import threading
from types import FrameType


class CtrlC:
    """Inside, the first Ctrl-C is only noted, in `is_pressed`; a second interrupts as usual.

    An exception could come in the middle of anything, and might be lost there. Where Ctrl-C is
    handled in some other way already, or by another thread, it is left at that.

    notice: a line for standard error when it is first pressed.
    """

    def __init__(self, notice: str | None = None) -> None:
        self.is_pressed = False
        self._notice = notice
        self._is_ours = False

    def __enter__(self) -> "CtrlC":
        is_main = threading.current_thread() is threading.main_thread()
        if is_main and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, self._note)
            self._is_ours = True
        return self

    def __exit__(self, *_: object) -> None:
        if self._is_ours:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.is_pressed:
            signal.default_int_handler(number, frame)
        self.is_pressed = True
        if self._notice:
            os.write(2, f"{self._notice}\n".encode())  # Python's own stream may be busy
