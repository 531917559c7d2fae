"""Weights in: what is right loads exactly, what is wrong is refused in one line."""

import contextlib
import pickle
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from physkit.core.errors import InputError, PhyskitError, UnknownNameError, WeightsError
from physkit.models.facephys.config import FacePhysConfig
from physkit.models.facephys.network import FacePhys
from physkit.weights.file import WeightsCard, read_weights, save_weights
from physkit.weights.load import load_model
from physkit.weights.released import arrays_from_state, read_state, state_from_arrays

TINY = {"height": 6, "width": 5, "channels": 8, "n_blocks": 1, "d_state": 4, "head_d_state": 2}


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.safetensors"
    torch.manual_seed(0)
    model = FacePhys(FacePhysConfig(**TINY))
    save_weights(path, model.state_dict(), WeightsCard("facephys", TINY, {"source": "test"}))
    return path


def test_saved_weights_come_back_bit_for_bit_with_their_card(tiny: Path) -> None:
    torch.manual_seed(0)
    expected = FacePhys(FacePhysConfig(**TINY)).state_dict()
    loaded = load_model("facephys", tiny)
    assert loaded.config == FacePhysConfig(**TINY)
    assert not loaded.training
    for name, tensor in loaded.state_dict().items():
        assert torch.equal(tensor, expected[name]), name
    assert read_weights(tiny)[0].provenance == {"source": "test"}


def test_an_interrupted_save_leaves_nothing_behind(tmp_path: Path) -> None:
    target = tmp_path / "taken"
    target.mkdir()
    with pytest.raises(InputError, match="cannot be written"):
        save_weights(target, {"x": torch.zeros(1)}, WeightsCard("facephys", {}))
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def test_a_model_without_weights_says_how_to_get_them() -> None:
    with pytest.raises(WeightsError, match="physkit weights pull facephys"):
        load_model("facephys")


def test_a_classical_method_refuses_weights(tiny: Path) -> None:
    with pytest.raises(WeightsError, match="'pos' has no weights"):
        load_model("pos", tiny)


def test_a_misspelt_model_is_answered_with_the_nearest_one(tiny: Path) -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'facephys'"):
        load_model("facefys", tiny)


def rewritten(path: Path, **changes: object) -> Path:
    card, tensors = read_weights(path)
    fields = {"model": card.model, "config": card.config} | changes
    save_weights(path, tensors, WeightsCard(**fields))  # type: ignore[arg-type]
    return path


def test_weights_of_another_model_are_refused(tiny: Path) -> None:
    with pytest.raises(WeightsError, match="weights of 'physnet', not of 'facephys'"):
        load_model("facephys", rewritten(tiny, model="physnet"))


def test_weights_of_another_size_name_a_tensor_that_differs(tiny: Path) -> None:
    with pytest.raises(WeightsError, match=r"of another shape, first 'blocks\.0"):
        load_model("facephys", rewritten(tiny, config=TINY | {"channels": 16}))


def test_a_config_field_of_a_later_version_is_named(tiny: Path) -> None:
    with pytest.raises(WeightsError, match="'n_heads' is unknown to this version"):
        load_model("facephys", rewritten(tiny, config=TINY | {"n_heads": 2}))


def test_an_impossible_config_is_refused(tiny: Path) -> None:
    with pytest.raises(WeightsError, match="impossible config"):
        load_model("facephys", rewritten(tiny, config=TINY | {"channels": 7}))


def test_nan_weights_are_refused(tiny: Path) -> None:
    card, tensors = read_weights(tiny)
    tensors["head_out.bias"] = torch.tensor([torch.nan])
    save_weights(tiny, tensors, card)
    with pytest.raises(WeightsError, match="NaN"):
        load_model("facephys", tiny)


class Evil:
    """A pickle that would write a file if it were ever run."""

    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return open, (str(Evil.trap), "w")

    trap = Path()


@pytest.mark.parametrize("kind", ["pickle", "torch"])
def test_a_pickle_with_code_in_it_is_refused_and_never_run(tmp_path: Path, kind: str) -> None:
    Evil.trap = tmp_path / "sprung"
    path = tmp_path / "weights.pth"
    if kind == "pickle":
        path.write_bytes(pickle.dumps({"w": Evil()}))
    else:
        torch.save({"w": Evil()}, path)
    Evil.trap.unlink(missing_ok=True)
    with pytest.raises(WeightsError, match="able to run code when opened; it was not opened"):
        load_model("facephys", path)
    assert not Evil.trap.exists()


def test_a_harmless_torch_file_is_called_another_models(tmp_path: Path) -> None:
    path = tmp_path / "other.pth"
    torch.save({"module.conv.weight": torch.zeros(3)}, path)
    with pytest.raises(WeightsError, match="of another model"):
        load_model("facephys", path)


def test_safetensors_of_someone_else_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    save_file({"x": torch.zeros(2)}, path)
    with pytest.raises(WeightsError, match="does not name the model"):
        load_model("facephys", path)


@pytest.mark.parametrize(
    ("model", "config"),
    [("facephys", None), (["facephys"], {}), ("facephys", {"d_state": 10**12}), ({}, [])],
)
def test_a_damaged_card_is_refused(tiny: Path, model: object, config: object) -> None:
    with pytest.raises(WeightsError, match=r"tiny\.safetensors: "):
        load_model("facephys", rewritten(tiny, model=model, config=config))


@pytest.mark.parametrize("seed", range(12))
def test_flipped_bytes_in_released_weights_never_end_in_a_traceback(
    assets: Path, tmp_path: Path, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    content = bytearray((assets / "facephys" / "FacePhys.weights.h5").read_bytes())
    # half of them near the start, where the tree of names lies
    for place in rng.integers(0, [8192, len(content)], (12, 2)).ravel():
        content[place] = rng.integers(256)
    path = tmp_path / "flipped.h5"
    path.write_bytes(content)
    with contextlib.suppress(WeightsError):
        load_model("facephys", path)


def test_hdf5_of_another_model_names_the_missing_tensor(tmp_path: Path) -> None:
    path = tmp_path / "other.weights.h5"
    with h5py.File(path, "w") as file:
        file["layers/dense/vars/0"] = np.zeros(3)
    with pytest.raises(WeightsError, match="not the published FacePhys, it has no tensor"):
        load_model("facephys", path)


@pytest.mark.parametrize("content", [b"", b"hello, weights", b"\x89HDF\r\n\x1a\n", b"PK\x03\x04zz"])
def test_damaged_bytes_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "weights.h5"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=r"weights\.h5: "):
        load_model("facephys", path)


@pytest.mark.parametrize("share", [0.01, 0.3, 0.7, 0.99])
def test_truncated_safetensors_are_refused(tiny: Path, share: float) -> None:
    tiny.write_bytes(tiny.read_bytes()[: int(share * tiny.stat().st_size)])
    with pytest.raises(WeightsError, match=r"tiny\.safetensors: "):
        load_model("facephys", tiny)


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="No such file"):
        load_model("facephys", tmp_path / "absent.h5")
    with pytest.raises(WeightsError, match="is a folder"):
        load_model("facephys", tmp_path)


@pytest.mark.parametrize("share", [0.001, 0.2, 0.5, 0.9])
def test_truncated_released_weights_are_refused(assets: Path, tmp_path: Path, share: float) -> None:
    content = (assets / "facephys" / "FacePhys.weights.h5").read_bytes()
    path = tmp_path / "cut.h5"
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(WeightsError, match=r"cut\.h5: "):
        load_model("facephys", path)


def test_released_physnet_is_not_mistaken_for_facephys(assets: Path) -> None:
    with pytest.raises(WeightsError, match="weights of 'physnet', not of 'facephys'"):
        load_model("facephys", assets / "physnet" / "PURE_PhysNet_DiffNormalized.pth")


def test_released_states_survive_the_way_there_and_back(assets: Path) -> None:
    state = read_state(assets / "facephys" / "state.gz")
    arrays = arrays_from_state(state)
    assert len(arrays) == 46
    again = arrays_from_state(state_from_arrays(arrays))
    assert all(np.array_equal(a, b) for a, b in zip(arrays, again, strict=True))


@pytest.mark.parametrize("content", [b"", b"not gzip", b"\x1f\x8b\x08\x00broken"])
def test_a_damaged_state_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "state.gz"
    path.write_bytes(content)
    with pytest.raises(PhyskitError, match="not a published FacePhys state"):
        read_state(path)
