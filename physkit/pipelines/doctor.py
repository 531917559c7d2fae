"""`physkit doctor`: what this installation can do, and why it cannot do the rest."""

import importlib.metadata
import os
import platform
import shutil
from dataclasses import dataclass
from typing import Any

from physkit.core.errors import PhyskitError
from physkit.core.table import table

PACKAGES = {
    "torch": None,
    "numpy": None,
    "scipy": None,
    "av": None,
    "opencv-python-headless": None,
    "pyarrow": None,
    "safetensors": None,
    "ai-edge-litert": "litert",
    "onnxruntime": "onnx",
    "jax": "jax",
    "litert-torch": "export",
    "ai-edge-quantizer": "export",
    "onnx": "export",
    "onnxscript": "export",
    "transformers": "llm",
    "peft": "llm",
    "gguf": "llm",
    "PyWavelets": "llm",
}
"""Packages that physkit uses, and the extra that brings each (None: always installed)."""


@dataclass(frozen=True)
class DoctorConfig:
    """Says what is installed, which devices there are, and what is usable and why not."""


@dataclass(frozen=True)
class Check:
    """One thing that may or may not work here."""

    name: str
    """What was looked at."""
    usable: bool
    """Whether it works."""
    detail: str
    """Version or device; or why it does not work, and the fix."""


@dataclass(frozen=True)
class Diagnosis:
    """What `physkit doctor` found."""

    checks: tuple[Check, ...]
    """In the order of printing."""

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {"checks": [vars(check) for check in self.checks]}

    def lines(self) -> list[str]:
        """A line for each check."""
        rows = [("ok" if check.usable else "no", check.name, check.detail) for check in self.checks]
        return table(("", "", ""), rows)


def run(config: DoctorConfig) -> Diagnosis:  # noqa: ARG001 (one shape for commands)
    """Look at packages, devices, registries, weights and the compiler."""
    return Diagnosis(
        (
            Check("physkit", True, importlib.metadata.version("physkit")),
            Check("python", True, f"{platform.python_version()} on {platform.platform()}"),
            *(_package(name, extra) for name, extra in PACKAGES.items()),
            _compiler(),
            *_devices(),
            *_registered(),
            *_weights(),
        )
    )


def _package(name: str, extra: str | None) -> Check:
    try:
        return Check(f"package {name}", True, importlib.metadata.version(name))
    except importlib.metadata.PackageNotFoundError:
        fix = f"pip install 'physkit[{extra}]'" if extra else "reinstall physkit"
        return Check(f"package {name}", False, f"not installed: {fix}")


def _compiler() -> Check:
    path = shutil.which("g++") or shutil.which("clang++")
    return Check("C++ compiler", path is not None, path or "none; compiled steps need g++ or clang")


def _devices() -> list[Check]:
    import torch

    threads = torch.get_num_threads()
    checks = [Check("device cpu", True, f"{os.cpu_count()} cores, {threads} torch threads")]
    if torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            checks.append(Check(f"device cuda:{index}", True, torch.cuda.get_device_name(index)))
    else:
        built = torch.version.cuda
        why = "no NVIDIA GPU or driver found" if built else "this torch is built without CUDA"
        checks.append(Check("device cuda", False, why))
    return checks


def _registered() -> list[Check]:
    """Whether everything in the registries can be imported."""
    from physkit.core.registry import all_registries

    checks = []
    for registry in all_registries():
        for name in registry:
            try:
                _ = registry[name]
            except (PhyskitError, ImportError) as error:
                checks.append(Check(f"{registry.kind} {name}", False, str(error)))
            else:
                checks.append(Check(f"{registry.kind} {name}", True, registry.entries[name]))
    return checks


def _weights() -> list[Check]:
    from physkit.pipelines.weights import ListConfig, list_weights

    return [
        Check(
            f"weights {row.name}",
            row.path is not None,
            row.path or f"not here: physkit weights pull {row.name}",
        )
        for row in list_weights(ListConfig()).rows
    ]
