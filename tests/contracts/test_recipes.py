"""Every shipped recipe can be run as it stands, and never tests anyone whom it trained on."""

import math
import shlex
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from stores import store_of

from physkit.cli import COMMANDS, read_options
from physkit.crossdomain.config import CrossdomainConfig
from physkit.crossdomain.plan import MatrixPlan, make_plan
from physkit.data.people import People, find_people
from physkit.data.splits import StoreConfig, load_split
from physkit.models import MODELS

REPOSITORY = Path(__file__).parents[2]
FOLDERS = sorted(path for path in (REPOSITORY / "recipes").iterdir() if path.is_dir())
RECIPES = [folder.name for folder in FOLDERS if (folder / "recipe.yaml").exists()]
OF_THE_ISSUE = [
    "facephys_crossdomain",
    "facephys_mmpd",
    "facephys_pure",
    "facephys_synthetic",
    "facephys_ubfc",
    "physnet_crossdomain",
]
N_SYNTHETIC = 40
"""People of a data set whose folds are drawn from names."""


def recipe(name: str) -> CrossdomainConfig:
    path = f"{REPOSITORY}/recipes/{name}/recipe.yaml"
    config, _ = read_options("crossdomain", ["--config", path])
    assert isinstance(config, CrossdomainConfig)
    return config


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("stores")


def people_of(data: Mapping[str, StoreConfig], folder: Path) -> dict[str, People]:
    """The people whom the splits list, all of them there."""
    stores = {}
    for name, one in data.items():
        subjects = tuple(f"s{n}" for n in range(N_SYNTHETIC))
        if one.split != "random":
            subjects = load_split(one.split).subjects
        path = folder / f"{name}.zarr"
        if not path.exists():
            store_of(path, subjects, name)
        stores[name] = replace(one, store=str(path))
    return find_people(stores)


def assert_nobody_is_in_train_and_test(plan: MatrixPlan) -> None:
    for cell in plan.cells:
        for reading in cell.readings:
            if reading.training is not None:
                assert reading.training.train
                assert reading.training.validation
                assert not reading.training.people & reading.part.people


def test_the_recipes_are_those_that_were_asked_for() -> None:
    assert set(OF_THE_ISSUE) <= set(RECIPES)


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_is_read_by_its_command_and_trains_a_network(name: str) -> None:
    config = recipe(name)
    assert config.out == f"runs/{name}"
    factory = MODELS[config.model.model]
    net = factory(factory.for_features(config.model) or config.model)  # without what is pulled
    asked = config.data.content.label_form
    assert asked in (None, net.label_form)


@pytest.mark.parametrize("name", RECIPES)
def test_nobody_is_in_train_and_test_of_a_recipe(name: str, folder: Path) -> None:
    config = recipe(name)
    data = people_of(config.stores, folder)
    plan = make_plan(config, data)
    assert_nobody_is_in_train_and_test(plan)
    for cell in plan.cells:
        tested = Counter(person for reading in cell.readings for person in reading.part.subjects)
        assert sorted(tested) == sorted(data[cell.column].subjects)
        assert set(tested.values()) == {1}


def shared(config: CrossdomainConfig) -> dict[str, Any]:
    """What must be the same in recipes whose figures are set side by side."""
    data, trainer = config.data, config.trainer
    return {
        "scoring": config.score,
        "n_frames": data.n_frames * data.batch_size * (trainer.max_steps or math.nan),
        "augment": data.augment,
        "content": data.content,
        "precision": trainer.precision,
        "seed": config.seed,
        "windows_seed": data.seed,
    }


def test_recipes_on_real_data_sets_differ_in_the_data_or_in_the_network() -> None:
    real = [name for name in OF_THE_ISSUE if name != "facephys_synthetic"]
    configs = {name: recipe(name) for name in real}
    first = configs["facephys_crossdomain"]
    for name, config in configs.items():
        assert shared(config) == shared(first), name
        assert all(first.stores[key] == store for key, store in config.stores.items()), name
        if name.startswith("facephys"):
            blocks = (config.model, config.data, config.optim, config.trainer)
            assert blocks == (first.model, first.data, first.optim, first.trainer), name


def commands(text: str) -> list[list[str]]:
    """The words of every physkit command in the code of a page."""
    lines = text.replace("\\\n", " ").splitlines()
    code = [line.strip() for line in lines if line.startswith("    physkit ")]
    return [shlex.split(line, comments=True)[1:] for line in code]


@pytest.mark.parametrize("name", RECIPES)
def test_every_command_of_a_recipes_page_can_be_typed(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(REPOSITORY)
    page = (REPOSITORY / "recipes" / name / "README.md").read_text("utf-8")
    typed = commands(page)
    assert ["crossdomain", "--config", f"recipes/{name}/recipe.yaml"] in typed
    for words in typed:
        command = words[0] if words[0] in COMMANDS else " ".join(words[:2])
        read_options(command, words[len(command.split()) :])
    for title in ("Hardware and time", "Published", "Measured"):
        assert f"\n## {title}\n" in page
