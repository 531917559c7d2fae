"""Triton kernels at the sizes of FacePhys, on a GPU; test_ops_triton.py has the odd ones."""

from collections.abc import Callable

import pytest
import torch
from test_ops import ssm_inputs, temporal_norm_inputs
from test_ops_triton import ARGUMENTS, assert_as_reference, results
from torch import Tensor

from physkit.models.facephys.network import FacePhys

pytestmark = pytest.mark.skipif(
    not torch.cuda.is_available(),
    reason="no GPU here: test_ops_triton.py ran the kernels in Triton's interpreter",
)


@pytest.mark.parametrize("t", [1, 63, 300])
@pytest.mark.parametrize(
    ("op", "make"),
    [
        ("temporal_norm", lambda t: temporal_norm_inputs(t, c=32, h=36, w=36)),
        ("temporal_norm", lambda t: temporal_norm_inputs(t, c=32, h=5, w=5)),
        ("ssm_scan", lambda t: ssm_inputs(t, heads=32, p=4, n=128)),
        ("ssm_scan", lambda t: ssm_inputs(t, heads=8, p=8, n=16)),
    ],
)
def test_the_sizes_of_facephys_agree_with_the_reference(
    op: str, make: Callable[[int], list[Tensor]], t: int
) -> None:
    assert_as_reference(op, [x.float() for x in make(t)], output=1e-5, gradient=1e-4)


@pytest.mark.parametrize("op", ARGUMENTS)
def test_gradients_repeat_to_the_last_bit(op: str) -> None:
    make = {"temporal_norm": temporal_norm_inputs, "ssm_scan": ssm_inputs}[op]
    first, again = (results(op, "triton", [x.float().cuda() for x in make(100)]) for _ in range(2))
    for name, x in first.items():
        assert torch.equal(x, again[name]), name


def test_facephys_has_the_pulse_and_the_gradients_of_its_reference() -> None:
    g = torch.Generator().manual_seed(0)
    clip, dt_s = torch.rand(1, 150, 36, 36, 3, generator=g), torch.full((1, 150), 1 / 30)
    nets = {name: FacePhys(backend=name).double().cuda() for name in ("reference", "triton")}
    nets["triton"].load_state_dict(nets["reference"].state_dict())
    pulses, gradients = {}, {}
    for name, net in nets.items():
        pulses[name] = net(clip.double().cuda(), dt_s.double().cuda())[0]
        pulses[name].square().sum().backward()
        gradients[name] = {key: p.grad for key, p in net.named_parameters()}
    torch.testing.assert_close(pulses["triton"], pulses["reference"], rtol=1e-9, atol=1e-9)
    for key, gradient in gradients["reference"].items():
        torch.testing.assert_close(gradients["triton"][key], gradient, rtol=1e-6, atol=1e-9)
