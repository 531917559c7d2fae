"""Pulse models by name: networks and classical methods behind `physkit.nn.streaming`."""

from physkit.core.config import choice_of_class
from physkit.core.registry import Registry
from physkit.nn.config import ModelConfig

MODELS = Registry(
    "model",
    {
        "facephys": "physkit.models.facephys.network:FacePhys",
        "physnet": "physkit.models.physnet.network:PhysNet",
        "physllm": "physkit.models.physllm.network:PhysLLM",
        "merppg": "physkit.models.merppg.network:MERPPG",
        "tscan": "physkit.models.tscan.network:TSCAN",
        "efficientphys": "physkit.models.efficientphys.network:EfficientPhys",
        "physformer": "physkit.models.physformer.network:PhysFormer",
        "rhythmmamba": "physkit.models.rhythmmamba.network:RhythmMamba",
        "physmamba": "physkit.models.physmamba.network:PhysMamba",
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

NETWORK, CONFIG = ".network:", ".config:"
CONFIGS = Registry(
    "model config",
    {
        name: f"{path.replace(NETWORK, CONFIG)}Config"
        for name, path in MODELS.entries.items()
        if NETWORK in path
    },
)
"""Name of a network that can be trained to its config class. A network `X` lies in `network.py` of
a folder, and its config `XConfig`, which imports nothing heavy, in `config.py` beside it."""
choice_of_class(ModelConfig, CONFIGS)


def deployable() -> list[str]:
    """Names of the networks that `physkit export` and `physkit.Session` take."""
    return [name for name in CONFIGS if MODELS[name].deployed]
