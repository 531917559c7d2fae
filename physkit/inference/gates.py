"""The signal quality that each model's heart rate needs, so that a still photo has none."""

from pathlib import Path

from physkit.signal.reading import QualityGate
from physkit.weights.file import sha256
from physkit.weights.manifest import known_weights

GATES = {
    "facephys": QualityGate(least=0.75, steady=0.45),
    "facephys-synthetic": QualityGate(least=0.45),
    "pos": QualityGate(least=0.75),
    "chrom": QualityGate(least=0.86, steady=0.6),
    "green": QualityGate(least=0.9, steady=0.6),
    "lgi": QualityGate(least=0.9),
    "omit": QualityGate(least=0.9),
    "pbv": QualityGate(least=0.75),
    "ica": QualityGate(least=0.97, steady=0.96),
}
"""By known weights or model: at most one of 200 noisy or swaying photos of 20 s gets a heart rate
(docs/vital-signs.md)."""
OTHER = GATES["facephys"]
"""Of a network that was not measured."""


def quality_gate(model: str, weights: Path | None) -> QualityGate:
    """The gate of known weights, else of their model, else `OTHER`."""
    if weights is not None and weights.is_file():
        found = sha256(weights)
        for name, entry in known_weights().items():
            if entry.sha256 == found and name in GATES:
                return GATES[name]
    return GATES.get(model, OTHER)
