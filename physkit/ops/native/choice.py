"""The choice of "auto": the fastest form of the ops for a device, logged once."""

import functools
import importlib.util
import logging

from physkit.ops.native.build import why_unusable

_log = logging.getLogger("physkit")


@functools.cache
def automatic_form(device_type: str) -> str:
    """native on a CPU with a compiler, triton on a GPU that has it, else chunked; logged.

    A slower choice than the device could have is a warning that says what to install.
    """
    if device_type == "cuda":
        lacking = None if importlib.util.find_spec("triton") else "triton is not installed"
        form = "triton"
    else:
        lacking = why_unusable() if device_type == "cpu" else f"no kernels for '{device_type}'"
        form = "native"
    if lacking is None:
        _log.info("FacePhys runs in its '%s' form on %s", form, device_type)
        return form
    # tensors on "meta" compute nothing, so the choice is not logged
    level = logging.WARNING if device_type != "meta" else logging.DEBUG
    _log.log(level, "FacePhys runs in its slow 'chunked' form on %s: %s", device_type, lacking)
    return "chunked"
