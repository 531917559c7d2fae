"""Weights files: our format, importers of released files, and the manifest of both."""

from physkit.core.registry import Registry

IMPORTERS = Registry(
    "weights importer",
    {
        "facephys-release": "physkit.weights.released:IMPORTER",
        "rppg-toolbox-physnet": "physkit.weights.toolbox:IMPORTER",
    },
)
"""Published form of weights to `WeightsImporter`."""
