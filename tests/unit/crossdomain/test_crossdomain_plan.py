"""Who is trained on and tested on: nobody both, in every shipped split, and all who should be."""

from pathlib import Path
from typing import Any

import pytest
from stores import store_of

from physkit.core.errors import InputError, PhyskitError
from physkit.crossdomain.config import CrossdomainConfig
from physkit.crossdomain.plan import MatrixPlan, Part, Reading, Training, make_plan
from physkit.data.people import find_people
from physkit.data.splits import StoreConfig, load_split, shipped_splits
from physkit.train.config import TrainerConfig

ENDS = TrainerConfig(max_steps=1)


def planned(data: dict[str, StoreConfig], out: Path, **options: Any) -> MatrixPlan:
    config = CrossdomainConfig(stores=data, out=str(out), trainer=ENDS, **options)
    return make_plan(config, find_people(config.stores))


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> dict[str, StoreConfig]:
    """A data set for each shipped split, everyone in it."""
    folder = tmp_path_factory.mktemp("shipped")
    return {
        name: StoreConfig(store_of(folder / f"{name}.zarr", load_split(name).subjects, name), name)
        for name in shipped_splits()
    }


def letters(path: Path, n: int = 6, dataset: str = "letters") -> str:
    return store_of(path, tuple("abcdefghijkl"[:n]), dataset)


@pytest.mark.parametrize("across", ["everyone", "fold-0"])
def test_nobody_is_in_train_and_test_in_any_shipped_split(
    shipped: dict[str, StoreConfig], across: str, tmp_path: Path
) -> None:
    names = list(shipped)
    assert set(names) == {"ubfc", "pure", "mmpd"}
    rows = [*names, "+".join(names), f"{names[0]}+{names[1]}"]
    plan = planned(shipped, tmp_path, train=rows, models=["pos"], across=across)
    assert len(plan.cells) == (len(rows) + 1) * len(names)
    for cell in plan.cells:
        for reading in cell.readings:
            if reading.training is not None:
                seen = {part.people for part in reading.training.train}
                seen |= {part.people for part in reading.training.validation}
                assert not reading.part.people & frozenset().union(*seen)
        tested = [subject for reading in cell.readings for subject in reading.part.subjects]
        assert sorted(tested) == sorted(load_split(cell.column).subjects), cell.name


def test_people_who_validate_are_of_the_trained_data_sets_and_not_trained_on(
    shipped: dict[str, StoreConfig], tmp_path: Path
) -> None:
    plan = planned(shipped, tmp_path, train=["ubfc", "pure+mmpd"])
    for training in plan.trainings:
        trained = frozenset().union(*(part.people for part in training.train))
        validating = frozenset().union(*(part.people for part in training.validation))
        assert not trained & validating
        assert {part.data for part in training.validation} == set(training.row.split("+"))


def test_a_training_serves_all_cells_that_can_use_it(
    shipped: dict[str, StoreConfig], tmp_path: Path
) -> None:
    names = ["ubfc", "pure", "mmpd"]
    plan = planned(shipped, tmp_path, train=["ubfc", "pure+mmpd"], test=names)
    assert [training.name for training in plan.trainings] == [
        *(f"ubfc-fold-{number}" for number in range(5)),
        "ubfc-everyone",
        "pure+mmpd-everyone",
        *(f"pure+mmpd-fold-{number}" for number in range(5)),
    ]
    shared = planned(shipped, tmp_path, train=["ubfc"], across="fold-0", folds=1)
    assert [training.name for training in shared.trainings] == ["ubfc-fold-0"]


def test_everyone_is_trained_on_but_those_who_validate(tmp_path: Path) -> None:
    data = {name: StoreConfig(letters(tmp_path / name, dataset=name)) for name in ("a", "b")}
    plan = planned(data, tmp_path, train=["a"], test=["b"])
    (training,) = plan.trainings
    assert len(training.people) == 6
    assert (len(training.train[0].subjects), len(training.validation[0].subjects)) == (5, 1)


def test_folds_limit_how_many_are_tested(tmp_path: Path) -> None:
    data = {"a": StoreConfig(letters(tmp_path / "a"), n_folds=3)}
    (cell,) = planned(data, tmp_path, train=["a"], folds=2).cells
    assert (len(cell.readings), cell.n_folds) == (2, 3)
    with pytest.raises(InputError, match="--folds 4: 'a' has 3"):
        planned(data, tmp_path, train=["a"], folds=4)


def test_people_called_alike_are_one_person_only_within_one_data_set(tmp_path: Path) -> None:
    same = {name: StoreConfig(letters(tmp_path / name)) for name in ("real", "copy")}
    with pytest.raises(InputError, match=r"train 'real', test 'copy': 6 people would be in both"):
        planned(same, tmp_path, train=["real"])
    otherwise = {**same, "copy": StoreConfig(same["copy"].store, split_seed=1)}
    with pytest.raises(InputError, match="people would be in both"):
        planned(otherwise, tmp_path, train=["real+copy"], test=["real"])
    apart = {**same, "copy": StoreConfig(same["copy"].store, people="others")}
    assert len(planned(apart, tmp_path, train=["real"]).cells) == 2


def test_a_reading_of_somebody_trained_on_cannot_be_made() -> None:
    one, other = Part("a", "a", ("x",)), Part("a", "a", ("y",))
    training = Training("a", "fold-0", (one,), (other,))
    for part in (one, other):
        with pytest.raises(InputError, match="1 people would be in both"):
            Reading(part, training)


def test_a_split_whose_people_are_not_in_the_store_is_refused(tmp_path: Path) -> None:
    strangers = {"ubfc": StoreConfig(letters(tmp_path / "a"), "ubfc")}
    with pytest.raises(InputError, match=r"nobody whom split 'ubfc' lists.*split: random"):
        planned(strangers, tmp_path, train=["ubfc"])
    few = store_of(tmp_path / "few", ("1", "3", "5", "x"), "ubfc")
    with pytest.raises(InputError, match=r"split 'ubfc', fold 0, nobody of validation is in it"):
        planned({"ubfc": StoreConfig(few, "ubfc")}, tmp_path, train=["ubfc"])
    data = {"ubfc": StoreConfig(few, "ubfc")}
    assert len(planned(data, tmp_path, models=["pos"]).cells[0].readings[0].part.subjects) == 3
    notes = find_people(data)["ubfc"].notes
    assert "39 people of split 'ubfc' are not in" in notes[0]
    assert "1 people of" in notes[1]
    assert notes[1].endswith("unused: x")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"train": ["ubfk"]}, "unknown store 'ubfk': did you mean 'ubfc'"),
        ({"train": ["ubfc+purr"]}, "unknown store 'purr': did you mean 'pure'"),
        ({"train": ["ubfc"], "test": ["mmpd"]}, "unknown store 'mmpd'"),
        ({"train": ["ubfc", "ubfc"]}, "train: 'ubfc' is listed twice"),
        ({"train": ["ubfc+ubfc"]}, "'ubfc+ubfc' names a store twice"),
        ({"models": ["pos", "pos"]}, "models: 'pos' is listed twice"),
        ({}, "train: empty, and models too"),
        ({"train": ["ubfc"], "folds": 0}, "--folds 0"),
        ({"train": ["ubfc"], "seed": -1}, "--seed -1"),
        ({"train": ["ubfc"], "trainer": TrainerConfig()}, "no end is set"),
        (
            {"train": ["ubfc"], "trainer": TrainerConfig(max_steps=1, devices=2)},
            "trainer: 2 processes: a matrix trains in one",
        ),
        ({"stores": {"a": StoreConfig("a", fold=1)}, "train": ["a"]}, "leave fold and lists"),
        ({"stores": {"a": StoreConfig("a", train=("x",))}, "train": ["a"]}, "leave fold and"),
        ({"train": ["ubfc"], "out": ""}, "--out: empty"),
        ({"train": ["ubfc"], "models": ["ubfc"]}, "'ubfc' is a store too"),
        ({"stores": {}, "train": ["ubfc"]}, "stores: none given"),
        ({"stores": {"a+b": StoreConfig("x")}, "train": ["a"]}, "'a+b' cannot be a name"),
    ],
)
def test_impossible_matrices_are_refused_by_name(options: dict[str, Any], message: str) -> None:
    stores = {"ubfc": StoreConfig("u"), "pure": StoreConfig("p")}
    given = {"stores": stores, "out": "out", "trainer": ENDS, **options}
    with pytest.raises(PhyskitError, match=message.replace("+", r"\+")):
        CrossdomainConfig(**given)


def test_a_missing_store_names_the_command_that_makes_it(tmp_path: Path) -> None:
    absent = str(tmp_path / "absent.zarr")
    with pytest.raises(InputError, match=rf"physkit prep --dataset pure --raw DIR --out {absent}"):
        planned({"mine": StoreConfig(absent, "pure")}, tmp_path, train=["mine"])
    with pytest.raises(InputError, match=r"mmpd: .*physkit prep --dataset mmpd"):
        planned({"mmpd": StoreConfig(absent)}, tmp_path, train=["mmpd"])


def test_unions_need_equally_many_folds_and_enough_people(tmp_path: Path) -> None:
    data = {
        "a": StoreConfig(letters(tmp_path / "a", dataset="a"), n_folds=3),
        "b": StoreConfig(letters(tmp_path / "b", dataset="b"), n_folds=2),
    }
    with pytest.raises(InputError, match="equally many folds, but a has 3, b has 2"):
        planned(data, tmp_path, train=["a+b"])
    with pytest.raises(InputError, match="6 subjects are not enough for 7 folds"):
        planned({"a": StoreConfig(data["a"].store, n_folds=7)}, tmp_path, train=["a"])
    with pytest.raises(InputError, match="split 'ubfc' is fixed"):
        StoreConfig("store", "ubfc", n_folds=3)
