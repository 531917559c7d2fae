"""Pulse models by name: networks and classical methods behind `physkit.nn.streaming`."""

from physkit.core.registry import Registry

MODELS = Registry(
    "model",
    {
        "facephys": "physkit.models.facephys.network:FacePhys",
        "physnet": "physkit.models.physnet:PhysNet",
        "green": "physkit.models.classical.green:GREEN",
        "ica": "physkit.models.classical.ica:ICA",
        "chrom": "physkit.models.classical.chrom:CHROM",
        "pbv": "physkit.models.classical.pbv:PBV",
        "pos": "physkit.models.classical.pos:POS",
        "lgi": "physkit.models.classical.lgi:LGI",
        "omit": "physkit.models.classical.omit:OMIT",
    },
)
"""Model name to class; each class takes its own frozen config, or nothing for the defaults."""
