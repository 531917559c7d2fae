"""How processes share a training: what is refused, and what a CPU can tell of FSDP."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import distributed
from torch.distributed.fsdp import FullyShardedDataParallel, StateDictType
from trainings import small_run
from trial_model import Trial, TrialConfig, write_base

from physkit.core.errors import InputError
from physkit.models.facephys.config import FacePhysConfig
from physkit.models.facephys.network import FacePhys
from physkit.train.budget import Budget, RateShare
from physkit.train.module import NET, PulseModule
from physkit.train.objective import Objective
from physkit.train.optimizers import constant
from physkit.train.run.trainer import make_strategy, shard_policy

TINY = FacePhysConfig(height=4, width=4, channels=8, n_blocks=1, d_state=4, head_d_state=4)


def test_strategies_go_by_the_config_and_fsdp_says_what_it_cannot() -> None:
    def strategy(where: str = "cpu", **changes: Any) -> Any:
        config = small_run(Path("s.zarr"), Path("run"), **changes)
        return make_strategy(config, FacePhys(TINY), where=where)

    assert strategy() == "auto"
    assert strategy(devices=2) == strategy(strategy="ddp") == "ddp"
    with pytest.raises(InputError, match=r"FSDP needs a GPU, and this run is on the CPU"):
        strategy(strategy="fsdp")
    with pytest.raises(InputError, match="shards have no average of weights"):
        strategy("gpu", strategy="fsdp", ema_decay=0.9)
    made = strategy("gpu", strategy="fsdp")
    assert (made.strategy_name, made._state_dict_type) == ("fsdp", "full")


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[None]:
    """A group of one process."""
    distributed.init_process_group(
        "gloo", init_method=f"file://{tmp_path}/group", rank=0, world_size=1
    )
    yield
    distributed.destroy_process_group()


@pytest.mark.usefixtures("alone")
def test_fsdp_shards_the_layers_that_a_model_names_and_saves_what_was_trained(
    tmp_path: Path,
) -> None:
    net = Trial(TrialConfig(str(write_base(tmp_path / "base.safetensors"))))
    before = {name: value.clone() for name, value in net.trained_state_dict().items()}
    module = PulseModule(
        net,
        Objective({"mse": 1.0}),
        make_optimizer=torch.optim.SGD,
        lr=1.0,
        rate_share=RateShare(constant, 0.0),
        budget=Budget(max_steps=1),
    )
    module.trainer = SimpleNamespace(global_step=0)  # type: ignore[assignment]
    assert shard_policy(FacePhys(TINY)) is None
    whole = FullyShardedDataParallel(
        module,
        auto_wrap_policy=shard_policy(net),
        use_orig_params=True,
        device_id=torch.device("cpu"),
    )
    shards = [part for part in whole.modules() if isinstance(part, FullyShardedDataParallel)]
    assert len(shards) == 1 + len([m for m in net.modules() if isinstance(m, torch.nn.Linear)])
    with FullyShardedDataParallel.state_dict_type(whole, StateDictType.FULL_STATE_DICT):
        checkpoint: dict[str, Any] = {"state_dict": whole.state_dict()}
    module.on_save_checkpoint(checkpoint)
    saved = {name.removeprefix(NET): value for name, value in checkpoint["state_dict"].items()}
    torch.testing.assert_close(saved, before)
