"""An op's `native.cpp` as a loaded library: compiled once for this processor, then cached.

The sources do not include torch: they take addresses and sizes. So they compile in seconds, with
any C++17 compiler, and need no rebuild when torch changes.
"""

import ctypes
import functools
import hashlib
import os
import platform
import shutil
import subprocess
from pathlib import Path

import torch  # loads the OpenMP library that the compiled ops then share threads with
from filelock import FileLock

from physkit.core.errors import MissingExtraError
from physkit.core.files import cache_folder

OPS = Path(__file__).parent.parent
FLAGS = (
    "-std=c++17",
    "-O3",
    "-march=native",
    "-mprefer-vector-width=512",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-fno-signed-zeros",
    "-fassociative-math",  # sums may be taken in vectors
    "-fopenmp",
    "-shared",
    "-fPIC",
    "-Wno-psabi",
)
TIMEOUT_S = 300.0


def compiler() -> str | None:
    """The C++ compiler: $CXX, else g++, else clang++; None where there is none."""
    return next(
        filter(None, map(shutil.which, (os.environ.get("CXX", ""), "g++", "clang++"))), None
    )


def why_unusable() -> str | None:
    """Why native ops cannot be compiled here; None where they can."""
    if compiler() is None:
        return "no C++ compiler found: install g++ (Debian: apt-get install g++), or set CXX"
    return None


@functools.cache
def library(op: str) -> ctypes.CDLL:
    """The compiled `physkit/ops/<op>/native.cpp`.

    Cached by source, compiler and processor, so each combination has its own library.
    Raises MissingExtraError without a compiler, or where compilation fails.
    """
    cxx = compiler()
    if cxx is None:
        raise MissingExtraError(f"the native form of '{op}' needs a compiler; {why_unusable()}")
    source = OPS / op / "native.cpp"
    path = cache_folder() / "native" / f"{op}-{_fingerprint(source, cxx)}.so"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_suffix(".lock")):
            if not path.exists():
                _compile(cxx, source, path)
    return ctypes.CDLL(str(path))


def _compile(cxx: str, source: Path, path: Path) -> None:
    unfinished = path.with_suffix(f".{os.getpid()}")
    command = [cxx, *FLAGS, f"-I{OPS}", str(source), "-o", str(unfinished)]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=TIMEOUT_S)
    except (OSError, subprocess.SubprocessError) as error:
        lines = (getattr(error, "stderr", None) or str(error)).strip().splitlines()
        raise MissingExtraError(
            f"{source}: {cxx} cannot compile it ({lines[0]}); set CXX to a C++17 compiler with "
            "OpenMP, or choose the backend 'chunked'"
        ) from error
    os.replace(unfinished, path)


def _fingerprint(source: Path, cxx: str) -> str:
    """Of everything that the library depends on."""
    version = subprocess.run([cxx, "--version"], capture_output=True, text=True, check=False)
    texts = [path.read_text("utf-8") for path in (source, *sorted(OPS.glob("*/*.h")))]
    text = "\0".join((*texts, version.stdout, *FLAGS, processor(), torch.__version__))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def processor() -> str:
    """Names the instructions of this processor: a home folder may be shared between several."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:  # not Linux
        return f"{platform.machine()} {platform.processor()}"
    return next((line for line in lines if line.startswith(("flags", "Features"))), "")
