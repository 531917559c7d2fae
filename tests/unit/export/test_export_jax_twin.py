"""FacePhys in flax is FacePhys, and so is its deployed form in JAX."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from physkit.core.errors import WeightsError
from physkit.models.facephys.config import FacePhysConfig
from physkit.models.facephys.network import FacePhys
from physkit.models.facephys.stream import FacePhysStream

jax = pytest.importorskip("jax")
pytest.importorskip("flax")

from physkit.export.jax import facephys as twin  # noqa: E402
from physkit.export.jax import facephys_stream as stream_twin  # noqa: E402
from physkit.export.jax.layers import load_arrays  # noqa: E402
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


def _arrays(module: torch.nn.Module) -> dict[str, np.ndarray]:
    return {name: x.numpy() for name, x in module.state_dict().items()}


def _clip(config: FacePhysConfig, batch: int, t: int) -> tuple[torch.Tensor, torch.Tensor]:
    frames = torch.rand(batch, t, config.height, config.width, 3, dtype=torch.float64)
    return frames, 0.005 + 0.3 * torch.rand(batch, t, dtype=torch.float64)


def _same_states(mine: object, theirs: object) -> None:
    leaves = jax.tree.leaves(mine), jax.tree.leaves(jax.tree.map(np.asarray, theirs))
    for own, other in zip(*leaves, strict=True):
        np.testing.assert_allclose(own, other, **EXACT)


@pytest.mark.parametrize("config", SIZES.values(), ids=SIZES)
@torch.no_grad()
def test_step_and_clip_of_the_flax_network_are_those_of_torch(config: FacePhysConfig) -> None:
    net, own = _any_weights(config), twin.FacePhys(config)
    load_arrays(own, _arrays(net), path="net")
    frames, dt_s = _clip(config, 2, 7)
    expected, after = net(frames, dt_s)
    pulse, state = jax.jit(own)(frames.numpy(), dt_s.numpy())
    np.testing.assert_allclose(pulse, expected, **EXACT)
    _same_states(state, after)
    step, state = jax.jit(own.step), jax.jit(lambda: own.init_state(2))()
    for i in range(frames.shape[1]):
        sample, state = step(frames[:, i].numpy(), state, dt_s=dt_s[:, i].numpy())
        np.testing.assert_allclose(sample, expected[:, i], **EXACT)
    _same_states(state, after)


@torch.no_grad()
def test_weights_of_another_size_are_refused_by_name() -> None:
    own, arrays = twin.FacePhys(SIZES["one block"]), _arrays(_any_weights(SIZES["odd"]))
    with pytest.raises(WeightsError, match=r"net.pt: weights of another model \('blocks\.1\."):
        load_arrays(own, arrays, path="net.pt")
    arrays = _arrays(_any_weights(SIZES["one block"]))
    arrays["head_out.bias"] = np.zeros(2)
    with pytest.raises(WeightsError, match=r"'head_out.bias' is \(2,\)"):
        load_arrays(own, arrays, path="net.pt")


@pytest.mark.parametrize("config", SIZES.values(), ids=SIZES)
@torch.no_grad()
def test_the_deployed_form_in_jax_is_that_of_torch(config: FacePhysConfig) -> None:
    net = FacePhysStream(_any_weights(config))
    own = stream_twin.FacePhysStream(config, _arrays(net), dtype="float64")
    assert own.state_names() == net.state_names()
    frames, dt_s = _clip(config, 1, 9)
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
