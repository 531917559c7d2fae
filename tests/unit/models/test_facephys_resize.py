"""Weights learned on small crops start on larger ones."""

import torch

from physkit.models.facephys.config import FacePhysConfig
from physkit.models.facephys.network import FacePhys
from physkit.models.facephys.resize import at_size

SMALL = {"channels": 8, "n_blocks": 2, "d_state": 4, "head_d_state": 4}


@torch.no_grad()
def test_a_network_resized_reads_enlarged_crops_nearly_as_before() -> None:
    torch.manual_seed(0)
    small = FacePhys(FacePhysConfig(height=4, width=4, **SMALL)).eval()
    large = FacePhys(FacePhysConfig(height=8, width=8, **SMALL)).eval()
    large.load_state_dict(at_size(small.state_dict(), large.state_dict()))
    clip = torch.rand(1, 60, 4, 4, 3)
    enlarged = clip.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    dt_s = torch.full((1, 60), 1 / 30)
    read = torch.stack([small(clip, dt_s)[0][0], large(enlarged, dt_s)[0][0]])
    assert torch.corrcoef(read)[0, 1] > 0.8


def test_what_is_no_picture_stays_as_it_is() -> None:
    tensors = {"weight": torch.ones(2, 3), "mean0": torch.ones(4, 4, 2), "own": torch.ones(1)}
    like = {"weight": torch.ones(3, 3), "mean0": torch.zeros(6, 5, 2)}
    resized = at_size(tensors, like)
    assert resized["mean0"].shape == (6, 5, 2)
    assert torch.equal(resized["mean0"], torch.ones(6, 5, 2))
    assert resized["weight"] is tensors["weight"]
    assert resized["own"] is tensors["own"]
