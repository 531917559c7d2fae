"""Who is trained on and who is tested on: folds by subject, shipped as files.

A split never depends on the order of folders or on what happens to be on a disk.
"""

import hashlib
import itertools
import re
import tomllib
from collections.abc import Collection
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable

from physkit.core.errors import InputError
from physkit.core.files import is_hidden
from physkit.core.naming import natural_order
from physkit.core.registry import unknown_name

VALIDATION_SHARE = 1 / 8
"""Share of all subjects that is held out of a fold's training to choose a checkpoint."""
SUFFIX = ".toml"
RANDOM = "random"
DEFAULT_FOLDS = 5
_RANGE = re.compile(r"(.*?)(\d+)-(.*?)(\d+)")


@dataclass(frozen=True)
class StoreConfig:
    """A store, and how its people are divided where it is used for more than one purpose."""

    store: str
    """Store that physkit prep wrote."""
    split: str = RANDOM
    """A shipped split (mmpd, pure or ubfc), or random: folds drawn from the names of the people in
    the store."""
    fold: int | None = None
    """Fold of the split that a single training takes; by default 0. A matrix takes all."""
    n_folds: int | None = None
    """Folds of a random split; by default 5."""
    split_seed: int | None = None
    """Seed of a random split; by default 0."""
    people: str | None = None
    """Whose people these are. Two stores with one name here are taken to hold the same people where
    subjects are called alike. By default the data set that the store was prepared from; give a
    synthetic store a name of its own where the real one is used too."""
    train: tuple[str, ...] | None = None
    """Instead of a split: the people to train on, by name or range, as in [s1, s2] or [1-188]."""
    validation: tuple[str, ...] | None = None
    """Instead of a split: the people by whom the best weights are chosen."""
    test: tuple[str, ...] | None = None
    """Instead of a split: the people to test on."""

    def __post_init__(self) -> None:
        of_random = (self.n_folds, self.split_seed)
        if self.split != RANDOM and self.split not in shipped_splits():
            raise unknown_name("split", self.split, (RANDOM, *shipped_splits()))
        if self.split != RANDOM and of_random != (None, None):
            raise InputError(
                f"stores: split '{self.split}' is fixed; n_folds and split_seed are for a random "
                "one"
            )
        if self.has_lists and (self.split != RANDOM or (*of_random, self.fold) != (None,) * 3):
            raise InputError(
                f"stores: {self.store}: has a split and lists of people too; give one of both"
            )

    @property
    def has_lists(self) -> bool:
        """Whether people are listed by name, and not by a split."""
        return (self.train, self.validation, self.test) != (None, None, None)

    def listed(self, purpose: str, *, present: Collection[str] = ()) -> tuple[str, ...]:
        """The people listed for train, validation or test, ranges written out.

        present: names of people of the store; an entry that is one of them is no range.
        """
        named: tuple[str, ...] = getattr(self, purpose) or ()
        return tuple(
            name for entry in named for name in ([entry] if entry in present else _range(entry))
        )


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
        """Subjects of a store that the split does not list; they would be left out."""
        return tuple(sorted(set(present) - set(self.subjects), key=natural_order))


def shipped_splits() -> tuple[str, ...]:
    """Names of the splits that come with physkit: data sets by their readers' names."""
    files = (entry.name for entry in _folder().iterdir())
    return tuple(
        sorted(n.removesuffix(SUFFIX) for n in files if n.endswith(SUFFIX) and not is_hidden(n))
    )


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


def _range(entry: str) -> list[str]:
    """Names from `1-188` or `s001-s020`, with the zeros of its ends; another entry by itself.

    Raises InputError for a range that runs backwards.
    """
    found = _RANGE.fullmatch(entry)
    if found is None or found[1] != found[3]:
        return [entry]
    before, low, _, high = found.groups()
    if int(low) > int(high):
        raise InputError(f"people: range '{entry}' runs backwards; give {high} before {low}")
    width = len(low) if low.startswith("0") else 0
    return [f"{before}{number:0{width}d}" for number in range(int(low), int(high) + 1)]


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
