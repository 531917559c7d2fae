"""Who is trained on and who is tested on: folds by subject, shipped as files.

A split never depends on the order of folders or on what happens to be on a disk.
"""

import hashlib
import itertools
import tomllib
from collections.abc import Collection
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable

from physkit.core.errors import InputError
from physkit.core.naming import natural_order
from physkit.core.registry import unknown_name

VALIDATION_SHARE = 1 / 8
"""Share of all subjects that is held out of a fold's training to choose a checkpoint."""
SUFFIX = ".toml"


@dataclass(frozen=True)
class Fold:
    """Three groups of people without anyone in common. Raises InputError otherwise."""

    train: tuple[str, ...]
    """Trained on."""
    validation: tuple[str, ...]
    """Neither trained nor tested on: they decide which checkpoint is best."""
    test: tuple[str, ...]
    """Tested on."""

    def __post_init__(self) -> None:
        everyone = sorted((*self.train, *self.validation, *self.test))
        for one, other in itertools.pairwise(everyone):
            if one == other:
                raise InputError(
                    f"fold: subject '{one}' is listed twice; train, validation and test must have "
                    "nobody in common"
                )
        for name in ("train", "test"):
            if not getattr(self, name):
                raise InputError(f"fold: nobody is in {name}; list at least one subject")


@dataclass(frozen=True)
class Split:
    """Folds whose test groups together are everyone, each once. Raises InputError otherwise."""

    name: str
    """What it is called."""
    dataset: str
    """Reader whose subjects it lists; empty for a derived one."""
    title: str
    """What it is and how it was drawn."""
    folds: tuple[Fold, ...]
    """Training, validation and test subjects of each fold."""

    def __post_init__(self) -> None:
        tested = [subject for fold in self.folds for subject in fold.test]
        for number, fold in enumerate(self.folds):
            everyone = {*fold.train, *fold.validation, *fold.test}
            if len(tested) != len(set(tested)) or everyone != set(tested):
                raise InputError(
                    f"split '{self.name}': fold {number} does not list the people whom all folds "
                    "test, each once; correct the lists"
                )

    @property
    def subjects(self) -> tuple[str, ...]:
        """Everyone, in natural order."""
        tested = (subject for fold in self.folds for subject in fold.test)
        return tuple(sorted(tested, key=natural_order))

    def fold(self, number: int) -> Fold:
        """One fold, counted from 0. Raises InputError for a number that there is not."""
        if not 0 <= number < len(self.folds):
            raise InputError(
                f"split '{self.name}': no fold {number}; it has folds 0 to {len(self.folds) - 1}"
            )
        return self.folds[number]

    def missing(self, present: Collection[str]) -> tuple[str, ...]:
        """Subjects of the split that a store with these lacks; to be reported, not fatal."""
        return tuple(subject for subject in self.subjects if subject not in present)

    def unlisted(self, present: Collection[str]) -> tuple[str, ...]:
        """Subjects of a store whom the split does not know, and nobody would train or test on."""
        return tuple(sorted(set(present) - set(self.subjects), key=natural_order))


def shipped_splits() -> tuple[str, ...]:
    """Names of the splits that come with physkit: data sets by their readers' names."""
    files = (entry.name for entry in _folder().iterdir())
    return tuple(sorted(name.removesuffix(SUFFIX) for name in files if name.endswith(SUFFIX)))


def load_split(name: str) -> Split:
    """A shipped split by name. Raises UnknownNameError for another name."""
    known = shipped_splits()
    if name not in known:
        raise unknown_name("split", name, known)
    entry = tomllib.loads((_folder() / f"{name}{SUFFIX}").read_text("utf-8"))
    folds = (
        Fold(tuple(fold["train"]), tuple(fold["validation"]), tuple(fold["test"]))
        for fold in entry["folds"]
    )
    return Split(name, entry["dataset"], entry["title"], tuple(folds))


def random_split(subjects: Collection[str], *, n_folds: int, seed: int) -> Split:
    """Folds for people without a shipped split, derived from their names and a seed alone.

    Whoever hands on the names in another order, twice, or with another version of NumPy gets the
    same folds; another person more or less gives others. Test groups differ by one person at most,
    and an eighth of all people, at least one, is for validation.
    Raises InputError where somebody would be left with nobody to train on.
    """
    people = sorted(set(subjects), key=lambda subject: _lot(seed, subject))
    n_validation = max(1, round(VALIDATION_SHARE * len(people)))
    largest_test = -(-len(people) // n_folds) if n_folds > 0 else 0
    if not 2 <= n_folds <= len(people) or len(people) <= largest_test + n_validation:
        raise InputError(
            f"split: {len(people)} subjects are not enough for {n_folds} folds with people to "
            "train, validate and test on; ask for 2 folds or more, and for no more than people"
        )
    folds = []
    for number in range(n_folds):
        test = people[number::n_folds]
        others = [subject for subject in people if subject not in test]
        others.sort(key=lambda subject: _lot(seed, subject, fold=number))
        groups = others[n_validation:], others[:n_validation], test
        folds.append(Fold(*(tuple(sorted(group, key=natural_order)) for group in groups)))
    title = f"{n_folds} folds derived from {len(people)} names with seed {seed}"
    return Split(f"random-{n_folds}-{seed}", "", title, tuple(folds))


def _lot(seed: int, subject: str, *, fold: int | None = None) -> bytes:
    """What decides a person's place in the draw."""
    return hashlib.sha256(f"{seed}/{fold}/{subject}".encode()).digest()


def _folder() -> Traversable:
    return resources.files("physkit.data.folds")
