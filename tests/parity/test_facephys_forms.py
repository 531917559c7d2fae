"""A change to the deployed step's template reaches every form of it."""

from collections.abc import Iterator

import pytest
import torch

from physkit.export.onnx_step import OnnxStep
from physkit.export.target import ExportRequest
from physkit.models.facephys import blocks, network, template
from physkit.models.facephys.config import FacePhysConfig
from physkit.models.facephys.stream import FacePhysStream

jax = pytest.importorskip("jax")
pytest.importorskip("ai_edge_litert")

from physkit.export.jax.step import JaxStep  # noqa: E402
from physkit.export.litert.lowered import LoweredStep  # noqa: E402

SIZE = FacePhysConfig(height=7, width=8, channels=8, n_blocks=2, d_state=4, head_d_state=3)
EXACT = {"rtol": 0, "atol": 1e-9}


@pytest.fixture(autouse=True)
def _double() -> Iterator[None]:
    jax.config.update("jax_disable_most_optimizations", True)  # compiling is what takes long
    with jax.enable_x64(True):
        yield
    jax.config.update("jax_disable_most_optimizations", False)


@torch.no_grad()
def test_a_block_of_three_convolutions_is_one_edit(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (blocks, template):
        monkeypatch.setattr(module, "CONVS_A_BLOCK", 3)
    monkeypatch.setattr(network, "start_weights", lambda *_: None)  # it starts pairs
    torch.manual_seed(0)
    net = network.FacePhys(SIZE).double().eval().requires_grad_(False)
    for weight in net.parameters():
        weight.add_(0.05 * torch.randn_like(weight))
    stream, onnx = FacePhysStream(net), OnnxStep(net)
    litert = LoweredStep(net, ExportRequest("0" * 64))
    frames = torch.rand(2, 1, 7, 8, 3, dtype=torch.float64)
    dt_s = torch.full((1,), 0.04, dtype=torch.float64)
    states = [form.init_state(1) for form in (net, stream, onnx, litert)]
    in_jax = jax.jit(JaxStep(stream, dtype="float64").step)
    of_jax = {name: x.numpy() for name, x in stream.init_state().items()}
    for frame in frames:
        for i, form in enumerate((net, stream, onnx, litert)):
            pulse, states[i] = form.step(frame, states[i], dt_s=dt_s)
            expected = pulse if i == 0 else expected
            torch.testing.assert_close(pulse, expected, **EXACT)
        pulse, of_jax = in_jax(frame.numpy(), of_jax, dt_s=dt_s.numpy())
        assert float(pulse[0]) == pytest.approx(float(expected), abs=1e-9)
    assert len(stream.convs) == 6
    for name, x in states[1].items():
        torch.testing.assert_close(states[3][name], x, **EXACT)
        torch.testing.assert_close(torch.tensor(of_jax[name].tolist(), dtype=x.dtype), x, **EXACT)
