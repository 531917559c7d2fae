"""What a run was made from: kept in its state and in its weights, and compared on resumption."""

import dataclasses
import hashlib
import json
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml
from torch import Tensor

from physkit.core.config import decisive, to_yaml
from physkit.core.differences import differences
from physkit.core.errors import InputError
from physkit.core.machine import this_commit
from physkit.data.store import open_store
from physkit.data.windows.config import WindowSource
from physkit.data.windows.table import WindowTable
from physkit.evaluate.result import plain
from physkit.nn.streaming import PulseModel
from physkit.train.callbacks.state import SaveWeights
from physkit.train.run.config import FitConfig
from physkit.weights.file import WeightsCard, save_weights, sha256
from physkit.weights.frozen import frozen_of
from physkit.weights.load import read_any_weights


def begun_with(config: FitConfig) -> dict[str, Any] | None:
    """What the weights that a run begins with say of themselves; None for random ones."""
    if config.init_weights is None:
        return None
    path = Path(config.init_weights)
    return {**read_any_weights(path)[0].provenance, "sha256": sha256(path)}


def make_record(
    config: FitConfig,
    sources: Mapping[str, Sequence[WindowSource]],
    net: PulseModel[Any],
    tables: Mapping[str, WindowTable],
    *,
    run: str,
    begun_with: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """Everything that the weights depend on, as JSON."""
    record = {
        "run": run,
        "config": yaml.safe_load(to_yaml(config)),
        "decisive": decisive(config, to_go_on=True),
        "network": {
            "model": config.model.model,
            **dataclasses.asdict(config.model),
            **({"beside": frozen_of(net)} if net.frozen_parts else {}),
        },
        "begun_with": begun_with,
        "data": {
            purpose: _data(sources[purpose], table, config.populations)
            for purpose, table in tables.items()
        },
        "commit": this_commit(),
        "versions": {name: version(name) for name in ("physkit", "torch", "lightning", "numpy")}
        | {"python": platform.python_version()},
    }
    made: dict[str, Any] = json.loads(json.dumps(plain(record)))
    return made


def _data(
    sources: Sequence[WindowSource], table: WindowTable, populations: Mapping[str, str]
) -> list[dict[str, Any]]:
    """What was read of each store, and a checksum over what is known of those recordings."""
    described = []
    for path in dict.fromkeys(source.store for source in sources):
        recordings = [r for r in table.recordings if r.store == path]
        store = open_store(path)
        about = {r.name: dict(store[r.name].attributes) for r in recordings}
        text = json.dumps(about, sort_keys=True)
        described.append(
            {
                "store": path,
                "dataset": store.dataset,
                "people": populations.get(path, store.dataset),
                "subjects": sorted({r.subject for r in recordings}),
                "recordings": [r.name for r in recordings],
                "sha256": hashlib.sha256(text.encode()).hexdigest(),
            }
        )
    return described


def check_same_run(path: Path, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Raises InputError where a state is of another network, or of a run told otherwise."""
    network = differences(before["network"], now["network"])
    if network:
        raise InputError(
            f"{path}: state of another network: {', '.join(network)}; set the model's options "
            "as they were, or give another --out"
        )
    if "decisive" not in before:
        raise InputError(
            f"{path}: state of an older physkit; finish it there, or give another --out"
        )
    changes = differences(before["decisive"], now["decisive"])
    for purpose, stores in now["data"].items():
        known = {old["sha256"] for old in before["data"][purpose]}
        changed = [store["store"] for store in stores if store["sha256"] not in known]
        if changed or len(stores) != len(before["data"][purpose]):
            changes.append(f"recordings of {' and '.join(changed) or 'a store'} in {purpose}")
    if changes:
        raise InputError(
            f"{path}: this run was begun with other options: {', '.join(changes)}; set them as "
            "they were, or give another --out"
        )


def weights_writer(config: FitConfig, record: Mapping[str, Any]) -> SaveWeights:
    """Writes weights of a run, with what they were made from."""

    def save(path: Path, tensors: Mapping[str, Tensor], about: Mapping[str, Any]) -> None:
        provenance = {"source": "physkit fit", **record, "metrics": plain(dict(about))}
        frozen = record["network"].get("beside", {})
        about_model = dataclasses.asdict(config.model)
        card = WeightsCard(config.model.model, about_model, provenance, frozen)
        save_weights(path, {name: value.cpu() for name, value in tensors.items()}, card)

    return save
