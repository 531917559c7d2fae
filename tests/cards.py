"""A card such as artifacts carry, for tests that need no artifact."""

from physkit.core.artifact import ArtifactCard
from physkit.export.target import STATES_FILE

A_CARD = ArtifactCard(
    model="facephys",
    form="step",
    n_frames=1,
    precision="fp32",
    height=36,
    width=36,
    pixels="RGB in [0, 1]",
    fixed_dt_s=None,
    order="hwc",
    states=(),
    states_file=STATES_FILE,
    weights_sha256="0",
    physkit="0",
)
