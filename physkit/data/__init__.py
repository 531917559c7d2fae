"""From raw data sets to clean stores, and from stores to training windows."""

from physkit.core.registry import Registry

EXTRAS = Registry(
    "extra input",
    {
        "recording": "physkit.data.extras:recording_names",
        "frame": "physkit.data.extras:frame_numbers",
    },
)
"""What models may read beside frames: name to `ReadExtra` (`data/extras.py`). Other names are read
from the group features/NAME of a recording."""
