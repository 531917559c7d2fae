"""Nobody is trained and tested on; splits are files, and derived ones depend on names alone."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from physkit.core.errors import InputError, UnknownNameError
from physkit.data.readers import READERS
from physkit.data.splits import Fold, Split, load_split, random_split, shipped_splits

UBFC = [1, 3, 4, 5, *range(8, 19), 20, *range(22, 28), *range(30, 50)]
PUBLISHED = {
    "ubfc": [str(number) for number in UBFC],
    "pure": [f"{number:02d}" for number in range(1, 11)],
    "mmpd": [str(number) for number in range(1, 34)],
}


def test_the_three_data_sets_of_the_recipes_have_a_split() -> None:
    assert set(shipped_splits()) == set(PUBLISHED)
    assert [len(PUBLISHED[name]) for name in ("ubfc", "pure", "mmpd")] == [42, 10, 33]


@pytest.mark.parametrize("name", shipped_splits())
def test_nobody_is_in_two_groups_of_a_shipped_fold(name: str) -> None:
    split = load_split(name)
    assert split.dataset in READERS
    assert len(split.folds) == 5
    for fold in split.folds:
        groups = [set(fold.train), set(fold.validation), set(fold.test)]
        assert all(groups)
        assert sum(map(len, groups)) == len(set().union(*groups))
        assert sorted(set().union(*groups)) == sorted(PUBLISHED[name])


@pytest.mark.parametrize("name", shipped_splits())
def test_everyone_is_tested_once_by_folds_of_one_size(name: str) -> None:
    split = load_split(name)
    tested = [subject for fold in split.folds for subject in fold.test]
    assert sorted(tested) == sorted(PUBLISHED[name])
    assert list(split.subjects) == PUBLISHED[name]
    sizes = [len(fold.test) for fold in split.folds]
    assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize("name", shipped_splits())
def test_shipped_folds_are_what_their_seed_draws(name: str) -> None:
    split = load_split(name)
    assert "seed 2025" in split.title
    assert random_split(PUBLISHED[name], n_folds=5, seed=2025).folds == split.folds


def test_an_unknown_split_names_the_known_ones() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'ubfc'"):
        load_split("ubfcc")


@pytest.mark.parametrize("number", [-1, 5])
def test_a_fold_that_there_is_not_is_refused(number: int) -> None:
    with pytest.raises(InputError, match=rf"'pure': no fold {number}; it has folds 0 to 4"):
        load_split("pure").fold(number)


def test_people_missing_from_a_store_and_people_nobody_listed_are_told_apart() -> None:
    split = load_split("pure")
    present = ["02", "01", "77", *(f"{number:02d}" for number in range(4, 11))]
    assert split.missing(present) == ("03",)
    assert split.unlisted(present) == ("77",)


@given(
    subjects=st.sets(st.text("abc0123456789", min_size=1, max_size=4), min_size=4, max_size=30),
    n_folds=st.integers(2, 5),
    seed=st.integers(0, 99),
)
def test_derived_folds_depend_on_names_and_seed_alone(
    subjects: set[str], n_folds: int, seed: int
) -> None:
    if n_folds > len(subjects):
        return
    split = random_split(subjects, n_folds=n_folds, seed=seed)
    shuffled = random.Random(seed).sample(sorted(subjects), len(subjects)) * 2
    assert random_split(shuffled, n_folds=n_folds, seed=seed) == split
    assert set(split.subjects) == subjects
    sizes = [len(fold.test) for fold in split.folds]
    assert max(sizes) - min(sizes) <= 1
    assert all(fold.validation and fold.train for fold in split.folds)


def test_another_seed_draws_other_folds() -> None:
    names = PUBLISHED["mmpd"]
    assert random_split(names, n_folds=5, seed=1) != random_split(names, n_folds=5, seed=2)


@pytest.mark.parametrize(("n_people", "n_folds"), [(2, 2), (5, 1), (5, 6), (5, 0), (0, 2), (3, 2)])
def test_too_few_people_are_refused(n_people: int, n_folds: int) -> None:
    with pytest.raises(InputError, match=f"{n_people} subjects are not enough for {n_folds}"):
        random_split([str(n) for n in range(n_people)], n_folds=n_folds, seed=0)


def test_a_fold_with_someone_in_common_cannot_be_made() -> None:
    with pytest.raises(InputError, match="'b' is listed twice"):
        Fold(train=("a", "b"), validation=(), test=("b",))
    with pytest.raises(InputError, match="nobody is in train"):
        Fold(train=(), validation=("a",), test=("b",))


def test_folds_that_do_not_test_everyone_once_cannot_be_made() -> None:
    one, other = Fold(("b", "c"), (), ("a",)), Fold(("a", "c"), (), ("b",))
    with pytest.raises(InputError, match="fold 0"):
        Split("mine", "", "mine", (one, other))
    with pytest.raises(InputError, match="each once"):
        Split("mine", "", "mine", (Fold(("b",), (), ("a",)), Fold(("b",), (), ("a",))))
