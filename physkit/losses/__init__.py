"""Losses by name: `loss(prediction, label, fps=fps)` gives one value for each clip."""

from physkit.core.registry import Registry

LOSSES = Registry(
    "loss",
    {
        "mse": "physkit.losses.mse:mse",
        "neg_pearson": "physkit.losses.neg_pearson:neg_pearson",
        "spectral": "physkit.losses.spectral:spectral",
    },
)
"""Loss name to function (b t), (b t), fps (b) -> (b). One value a clip, so that an error can name
the clip; training minimises the mean over the batch."""
