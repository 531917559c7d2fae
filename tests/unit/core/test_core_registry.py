import pytest

from physkit.core.errors import MissingExtraError, UnknownNameError
from physkit.core.registry import Registry


def test_a_misspelt_name_is_answered_with_the_nearest_one() -> None:
    registry = Registry("model", {"facephys": "json:loads", "pos": "json:dumps"})
    with pytest.raises(UnknownNameError, match="'FacePhis': did you mean 'facephys'"):
        _ = registry["FacePhis"]


def test_an_entry_is_imported_only_when_asked_for() -> None:
    registry = Registry("model", {"absent": "no_such_module:Thing", "loads": "json:loads"})
    assert registry["loads"]("1") == 1
    assert list(registry) == ["absent", "loads"]
    with pytest.raises(ModuleNotFoundError):
        _ = registry["absent"]


def test_a_missing_package_names_the_extra_to_install() -> None:
    registry = Registry("detector", {"x": "no_such_module:X"}, extras={"x": "litert"})
    with pytest.raises(MissingExtraError, match=r"pip install 'physkit\[litert\]'"):
        _ = registry["x"]
