"""Rooms that bear the name of a function: `physkit.prepare(...)` beside `physkit.prepare.run`.

Python puts a room into `physkit` under its name as soon as it is imported, where it would hide the
function. So the room itself can be called.
"""

import importlib
import sys
from types import ModuleType
from typing import Any


def make_callable(room: str, function: str) -> None:
    """Lets `room`, a module that is being imported, be called as `function`, `module:name`."""

    class CallableRoom(ModuleType):
        def __call__(self, *args: Any, **options: Any) -> Any:
            module, name = function.split(":")
            return getattr(importlib.import_module(module), name)(*args, **options)

    sys.modules[room].__class__ = CallableRoom
