"""Weights files: our format, importers of released files, and the manifest of both."""

from physkit.core.registry import Registry

IMPORTERS = Registry(
    "weights importer",
    {
        "rppg-toolbox-physnet": "physkit.weights.toolbox:IMPORTER",
        "open-rppg-physnet": "physkit.weights.keras_tables:PHYSNET",
        "open-rppg-tscan": "physkit.weights.keras_tables:TSCAN",
        "open-rppg-efficientphys": "physkit.weights.keras_tables:EFFICIENTPHYS",
        "open-rppg-physformer": "physkit.weights.keras_tables:PHYSFORMER",
        "open-rppg-rhythmmamba": "physkit.weights.keras_tables:RHYTHMMAMBA",
        "open-rppg-physmamba": "physkit.weights.keras_tables:PHYSMAMBA",
        "open-rppg-merppg": "physkit.weights.keras_tables:MERPPG",
        "facephys-release": "physkit.weights.released:IMPORTER",
    },
)
"""Published form of weights to `WeightsImporter`."""
