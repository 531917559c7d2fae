"""Training: Lightning modules and callbacks, and the names that a config may choose from."""

from physkit.core.registry import Registry

OPTIMIZERS = Registry(
    "optimizer",
    {"adam": "torch.optim:Adam", "adamw": "torch.optim:AdamW", "sgd": "torch.optim:SGD"},
)
"""Optimizer name to class, called with parameter groups, `lr` and `weight_decay`."""

SCHEDULES = Registry(
    "schedule",
    {
        "constant": "physkit.train.optimizers:constant",
        "cosine": "physkit.train.optimizers:cosine",
        "onecycle": "physkit.train.optimizers:onecycle",
    },
)
"""Schedule name to function from progress, 0 to 1, and final share to the share of the learning
rate. Learning rates are a function of the step alone, so that a resumed run has the same."""

LOGGERS = Registry(
    "logger",
    {
        "csv": "physkit.train.loggers:csv",
        "tensorboard": "physkit.train.loggers:tensorboard",
        "wandb": "physkit.train.loggers:wandb",
    },
)
"""Logger name to function from `LogPlace` to a Lightning logger."""

MODULES = Registry("training module", {"facephys": "physkit.train.facephys:FacePhysModule"})
"""Model name to its Lightning module; every other network has `PulseModule`."""
