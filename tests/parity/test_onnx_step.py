"""The form of the step that is exported to ONNX is the step."""

import pytest
import torch

from physkit.export.onnx_step import OnnxStep
from physkit.models.facephys.config import FacePhysConfig
from physkit.models.facephys.network import FacePhys
from physkit.models.facephys.stream import FacePhysStream

SIZES = {
    "published": FacePhysConfig(),
    "odd": FacePhysConfig(height=11, width=14, channels=16, n_blocks=3, d_state=9, head_d_state=5),
    "one block": FacePhysConfig(height=5, width=5, channels=8, n_blocks=1, d_state=4),
}
DT_S = 1 / 25


@pytest.mark.parametrize("is_fixed", [False, True], ids=["any rate", "fixed rate"])
@pytest.mark.parametrize("config", SIZES.values(), ids=SIZES)
@torch.no_grad()
def test_the_exported_step_is_the_deployed_step(config: FacePhysConfig, is_fixed: bool) -> None:
    torch.manual_seed(0)
    net = FacePhys(config).double().eval()
    for weight in net.parameters():
        weight.add_(0.05 * torch.randn_like(weight))
    stream = FacePhysStream(net, order="chw")
    step = OnnxStep(net, fixed_dt_s=DT_S if is_fixed else None)
    state = own = stream.init_state()
    for _ in range(20):
        frame = torch.rand(1, config.height, config.width, 3, dtype=torch.float64)
        dt_s = torch.full((1,), DT_S, dtype=torch.float64)
        if not is_fixed:
            dt_s = dt_s + 0.3 * torch.rand(1, dtype=torch.float64)
        expected, state = stream.step(frame, state, dt_s=dt_s)
        pulse, *after = step(frame, *([] if is_fixed else [dt_s]), *own.values())
        own = dict(zip(own, after, strict=True))
        torch.testing.assert_close(pulse, expected, rtol=0, atol=1e-9)
    torch.testing.assert_close(own, state, rtol=0, atol=1e-9)
