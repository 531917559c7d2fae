"""Networks that read clips, as ONNX: a clip in, its standardised pulse out."""

import importlib.metadata
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from jaxtyping import Float
from torch import Tensor, nn

from physkit.core.artifact import METADATA_KEY, ArtifactCard
from physkit.core.files import whole_file
from physkit.export.onnx import graph_of, rename
from physkit.export.parity import Parity, Reference, compare
from physkit.export.target import Calibration
from physkit.nn.clip_network import ClipNetwork


class OneClip(nn.Module):
    """Frames of one clip to its pulse."""

    def __init__(self, net: ClipNetwork) -> None:
        super().__init__()
        self.net = net

    def forward(self, frames: Float[Tensor, "t h w 3"]) -> Float[Tensor, "t"]:
        """RGB in [0, 1]."""
        return self.net.pulse(frames[None])[0]


def write_clip_network(net: ClipNetwork, path: Path, *, weights_sha256: str) -> ArtifactCard:
    """An ONNX file with input `frames` and output `pulse`, and no states; its card inside."""
    height, width = net.crop_size
    card = ArtifactCard(
        model=net.config.model,
        form="chunk",
        n_frames=net.clip_frames,
        precision="fp32",
        height=height,
        width=width,
        pixels="RGB in [0, 1]",
        fixed_dt_s=1 / net.trained_fps if net.trained_fps else None,
        order="hwc",
        states=(),
        states_file="",
        weights_sha256=weights_sha256,
        physkit=importlib.metadata.version("physkit"),
    )
    module = OneClip(net).eval().requires_grad_(requires_grad=False)
    model = graph_of(module, (torch.zeros(net.clip_frames, height, width, 3),))
    rename(model.graph, ["frames"], ["pulse"])
    model.metadata_props.add(key=METADATA_KEY, value=card.to_json())
    onnx.checker.check_model(model)
    with whole_file(path) as unfinished:
        unfinished.write_bytes(model.SerializeToString())
    return card


def check_clip_network(
    net: ClipNetwork, path: Path, card: ArtifactCard, clip: Calibration, *, is_drawn: bool
) -> Parity:
    """The file on a clip of its length, against the network in float64."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (found,) = session.run(["pulse"], {"frames": clip.frames})
    with torch.inference_mode():
        exact = OneClip(net.double())(torch.from_numpy(clip.frames).double()).numpy()
    net.float()
    times_s = np.cumsum(clip.dt_s, dtype=np.float64)
    answer, truth = (Reference(x.astype(np.float64), {}, times_s) for x in (found, exact))
    return compare(card, answer, truth, artifact=path.name, runtime="onnx", is_drawn=is_drawn)
