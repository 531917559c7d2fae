"""The input of PhysNet: what changes from frame to frame, clip by clip."""

import pytest
import torch

from physkit.ops.normalised_difference import normalised_difference


@pytest.fixture
def clips() -> torch.Tensor:
    torch.manual_seed(0)
    return torch.rand(2, 9, 5, 4, 3)


def test_it_is_the_change_over_the_sum_over_its_deviation(clips: torch.Tensor) -> None:
    x = clips[0].double()
    change = (x[1:] - x[:-1]) / (x[1:] + x[:-1])
    expected = change / change.std(correction=0)
    found = normalised_difference(clips, white=1.0)[0]
    torch.testing.assert_close(found[:-1], expected.float())
    assert not found[-1].any()


def test_clips_of_a_batch_do_not_mix(clips: torch.Tensor) -> None:
    together = normalised_difference(clips, white=1.0)
    for clip, found in zip(clips, together, strict=True):
        torch.testing.assert_close(normalised_difference(clip, white=1.0), found)


def test_the_unit_of_grey_does_not_matter(clips: torch.Tensor) -> None:
    clips[:, :, 0] = 0.0  # black stays black
    one, grey = (
        normalised_difference(clips, white=1.0),
        normalised_difference(255 * clips, white=255),
    )
    torch.testing.assert_close(one, grey, rtol=1e-4, atol=1e-5)
    assert not one[:, :, 0].any()


@pytest.mark.parametrize("n_frames", [1, 2, 6])
def test_a_still_clip_is_zeros_with_a_finite_gradient(n_frames: int) -> None:
    still = torch.full((1, n_frames, 3, 3, 3), 0.4, requires_grad=True)
    change = normalised_difference(still, white=1.0)
    assert not change.any()
    if n_frames > 1:
        change.sum().backward()
        assert still.grad is not None
        assert still.grad.isfinite().all()


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (torch.bfloat16, torch.float32),
        (torch.float32, torch.float32),
        (torch.float64, torch.float64),
    ],
)
def test_it_is_float32_at_least(given: torch.dtype, expected: torch.dtype) -> None:
    clip = torch.rand(1, 3, 2, 2, 3).to(given)
    assert normalised_difference(clip, white=1.0).dtype == expected
