"""PhysNet: a stream cut anywhere gives one pulse, and clips can be trained on."""

import pytest
import torch

from physkit.core.errors import InputError
from physkit.models.physnet.config import PhysNetConfig
from physkit.models.physnet.network import PhysNet
from physkit.ops.normalised_difference import normalised_difference

SMALL = {"height": 16, "width": 16, "frames": 16}


def small(**changes: object) -> PhysNet:
    torch.manual_seed(0)
    net = PhysNet(PhysNetConfig(**(SMALL | changes)))  # type: ignore[arg-type]
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm3d):  # as if it had been trained
            module.running_mean = torch.randn(module.num_features) / 10
            module.running_var = 0.5 + torch.rand(module.num_features)
    return net.eval()


def faces(n_frames: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    rng = torch.Generator().manual_seed(seed)
    return torch.rand(2, n_frames, 16, 16, 3, generator=rng), torch.full((2, n_frames), 1 / 30)


@pytest.mark.parametrize("output", ["diff", "pulse"])
@pytest.mark.parametrize("n_frames", [1, 2, 15, 16, 17, 33, 61])
@torch.inference_mode()
def test_chunks_and_steps_give_the_pulse_of_the_whole(n_frames: int, output: str) -> None:
    net = small(output=output)
    clip, dt_s = faces(n_frames)
    whole = net.whole_pulse(clip, dt_s)
    assert whole.shape == (2, n_frames)
    for chunk in (1, 5, 40):
        state, pieces = net.init_state(2), []
        for start in range(0, n_frames, chunk):
            given, state = net(
                clip[:, start : start + chunk], dt_s[:, start : start + chunk], state
            )
            assert given.shape[1] <= chunk
            pieces.append(given)
        pieces.append(net.finish(state))
        torch.testing.assert_close(torch.cat(pieces, dim=1), whole, rtol=0, atol=1e-5)


@torch.inference_mode()
def test_steps_give_the_pulse_of_the_whole_a_window_late() -> None:
    net = small()
    clip, dt_s = faces(45)
    state, samples = net.init_state(2), []
    for t in range(45):
        sample, state = net.step(clip[:, t], state, dt_s=dt_s[:, t])
        samples.append(sample)
    stepped = torch.stack(samples, dim=1)
    assert stepped[:, :16].isnan().all()
    assert stepped[:, 16:].isfinite().all()
    pulse = torch.cat([stepped[:, 16:], net.finish(state)], dim=1)
    torch.testing.assert_close(pulse, net.whole_pulse(clip, dt_s), rtol=0, atol=1e-5)


@torch.inference_mode()
def test_a_window_is_answered_one_frame_after_its_last() -> None:
    net = small()
    clip, dt_s = faces(40)
    assert net(clip[:, :16], dt_s[:, :16])[0].shape == (2, 0)
    assert net(clip[:, :17], dt_s[:, :17])[0].shape == (2, 16)
    assert net(clip, dt_s)[0].shape == (2, 32)


@torch.inference_mode()
def test_a_state_can_be_continued_twice() -> None:
    net = small()
    clip, dt_s = faces(50)
    _, state = net(clip[:, :30], dt_s[:, :30])
    once, _ = net(clip[:, 30:], dt_s[:, 30:], state)
    torch.testing.assert_close(net(clip[:, 30:], dt_s[:, 30:], state)[0], once, rtol=0, atol=0)
    assert state.frames.shape[1] == 30


@torch.inference_mode()
def test_memory_does_not_grow_with_the_stream() -> None:
    net = small()
    state = net.init_state(2)
    for seed in range(6):
        _, state = net(*faces(20, seed), state)
        assert state.frames.shape[1] <= 2 * 16
        assert state.frames.untyped_storage().nbytes() <= 4 * 2 * 36 * 16 * 16 * 3


@torch.inference_mode()
def test_later_windows_do_not_change_earlier_pulse() -> None:
    net = small()
    clip, dt_s = faces(60)
    changed = clip.clone()
    changed[:, 33:] = torch.rand(2, 27, 16, 16, 3)
    torch.testing.assert_close(net(clip, dt_s)[0][:, :32], net(changed, dt_s)[0][:, :32])


@torch.inference_mode()
def test_the_pulse_is_the_sum_of_the_changes_that_were_answered() -> None:
    net = small()
    clip, dt_s = faces(17)
    pulse, _ = net(clip, dt_s)
    change = net.answer(normalised_difference(clip, white=1.0)[:, :16])
    change = change - change.mean(dim=1, keepdim=True)
    assert not pulse[:, 0].any()
    torch.testing.assert_close(pulse.diff(dim=1), change[:, :15], rtol=1e-4, atol=1e-5)
    assert (pulse[:, -1] + change[:, -1]).abs().max() < 1e-4  # where the next window begins


@torch.inference_mode()
def test_brightness_does_not_change_the_pulse() -> None:
    net = small()
    clip, dt_s = faces(40)
    torch.testing.assert_close(
        net.whole_pulse(0.5 * clip, dt_s), net.whole_pulse(clip, dt_s), rtol=1e-3, atol=1e-3
    )


@pytest.mark.parametrize(("output", "form"), [("diff", "diff"), ("pulse", "standardised")])
@pytest.mark.parametrize("n_frames", [3, 16, 41])
def test_in_training_every_frame_is_answered_in_the_form_of_the_label(
    n_frames: int, output: str, form: str
) -> None:
    net = small(output=output).train()
    clip, dt_s = faces(n_frames)
    answer, state = net(clip, dt_s)
    assert answer.shape == (2, n_frames)
    assert net.label_form == form
    with pytest.raises(InputError, match="trains on whole clips"):
        net(clip, dt_s, state)


def test_training_finds_the_pulse_of_a_face() -> None:
    net = small().train()
    label = torch.sin(2 * torch.pi * 1.5 * torch.arange(32) / 30)
    torch.manual_seed(0)
    clip = 0.5 - 0.02 * label[None, :, None, None, None] + 0.01 * torch.rand(2, 32, 16, 16, 3)
    change = torch.nn.functional.pad(label.diff(), (0, 1)).repeat(2)
    optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)
    losses = []
    for _ in range(12):
        answer, _ = net(clip, torch.full((2, 32), 1 / 30))
        loss = 1 - torch.corrcoef(torch.stack([answer.flatten(), change]))[0, 1]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


def test_crops_of_another_size_are_refused_with_both_sizes() -> None:
    with pytest.raises(InputError, match=r"crops are 36x36 pixels, the model reads 72x72"):
        PhysNet()(torch.rand(1, 8, 36, 36, 3), torch.full((1, 8), 1 / 30))


@pytest.mark.parametrize(
    "wrong", [{"height": 15}, {"width": 0}, {"frames": 0}, {"frames": 126}, {"output": "ppg"}]
)
def test_impossible_configs_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="must be"):
        PhysNetConfig(**wrong)  # type: ignore[arg-type]
