"""The deployed form of FacePhys in JAX is that of torch, and its tiles are convolutions."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from physkit.models.facephys.config import FacePhysConfig
from physkit.models.facephys.network import FacePhys
from physkit.models.facephys.stream import FacePhysStream

jax = pytest.importorskip("jax")

from physkit.bench import plain_jax  # noqa: E402
from physkit.export.jax.step import JaxStep  # noqa: E402
from physkit.export.jax.winograd import Tiling  # noqa: E402

SIZES = {
    "odd": FacePhysConfig(height=11, width=14, channels=16, n_blocks=3, d_state=9, head_d_state=5),
    "one block": FacePhysConfig(height=5, width=5, channels=8, n_blocks=1, d_state=4),
}
EXACT = {"rtol": 0, "atol": 1e-9}


@pytest.fixture(autouse=True)
def _double() -> Iterator[None]:
    jax.config.update("jax_disable_most_optimizations", True)  # compiling is what takes long
    with jax.enable_x64(True):
        yield
    jax.config.update("jax_disable_most_optimizations", False)


def _any_weights(config: FacePhysConfig) -> FacePhys:
    torch.manual_seed(0)
    net = FacePhys(config, backend="reference").double().eval()
    with torch.no_grad():
        for weight in net.parameters():
            weight.add_(0.05 * torch.randn_like(weight))
    return net


def _clip(config: FacePhysConfig, t: int) -> tuple[torch.Tensor, torch.Tensor]:
    frames = torch.rand(1, t, config.height, config.width, 3, dtype=torch.float64)
    return frames, 0.005 + 0.3 * torch.rand(1, t, dtype=torch.float64)


def _same_states(mine: object, theirs: object) -> None:
    leaves = jax.tree.leaves(mine), jax.tree.leaves(jax.tree.map(np.asarray, theirs))
    for own, other in zip(*leaves, strict=True):
        np.testing.assert_allclose(own, other, **EXACT)


@pytest.mark.parametrize("config", SIZES.values(), ids=SIZES)
@torch.no_grad()
def test_the_plain_step_that_it_is_measured_by_is_the_network(config: FacePhysConfig) -> None:
    net = _any_weights(config)
    frames, dt_s = _clip(config, 7)
    expected, after = net(frames, dt_s)
    step, state = plain_jax.jitted_step(net), plain_jax.first_state(net)
    for i in range(frames.shape[1]):
        sample, state = step(frames[:, i].numpy(), state, dt_s[:, i].numpy())
        np.testing.assert_allclose(sample, expected[:, i], **EXACT)
    _same_states(state, after)


@pytest.mark.parametrize("config", SIZES.values(), ids=SIZES)
@torch.no_grad()
def test_the_deployed_form_in_jax_is_that_of_torch(config: FacePhysConfig) -> None:
    net = FacePhysStream(_any_weights(config))
    own = JaxStep(net, dtype="float64")
    assert own.state_names() == net.state_names()
    frames, dt_s = _clip(config, 9)
    expected, after = net.init_state(), net.init_state()
    state = first = {name: x.numpy() for name, x in after.items()}
    step, pulse = jax.jit(own.step), []
    for i in range(frames.shape[1]):
        expected, after = net.step(frames[:, i], after, dt_s=dt_s[:, i])
        sample, state = step(frames[:, i].numpy(), state, dt_s=dt_s[:, i].numpy())
        np.testing.assert_allclose(sample, expected, **EXACT)
        pulse.append(sample[0])
    _same_states(state, after)
    of_clip, state = jax.jit(own)(frames[0].numpy(), first, dt_s=dt_s[0].numpy())
    np.testing.assert_allclose(of_clip, pulse, **EXACT)
    _same_states(state, after)


@pytest.mark.parametrize(("height", "width"), [(7, 13), (12, 36), (9, 9), (18, 7)])
def test_tiles_give_the_convolution(height: int, width: int) -> None:
    rng = np.random.default_rng(0)
    x, weight = rng.normal(size=(2, height, width, 3)), rng.normal(size=(3, 3, 3, 5))
    tiling = Tiling(height, width)
    kernel = tiling.kernel(weight)
    y = jax.jit(lambda x: tiling.join(tiling.split(x) @ kernel))(x)
    expected = torch.nn.functional.conv2d(
        torch.from_numpy(x).movedim(-1, 1), torch.from_numpy(weight).permute(3, 2, 0, 1), padding=1
    )
    np.testing.assert_allclose(y, expected.movedim(1, -1), rtol=0, atol=1e-12)
