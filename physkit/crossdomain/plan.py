"""Which networks are trained on whom, and which cells they are tested in.

Nobody is ever trained on and tested on: a plan that would do so cannot be made.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from physkit.core.errors import InputError
from physkit.core.naming import natural_order
from physkit.crossdomain.config import CrossdomainConfig, members
from physkit.data.people import People
from physkit.data.splits import Fold

Person = tuple[str, str]
"""Population and subject."""
_NAMESAKES = (
    "where they are others who are called alike, give one of the data sets a name for its people"
)


@dataclass(frozen=True)
class Part:
    """Some people of one data set."""

    data: str
    """The data set, as the matrix calls it."""
    population: str
    """Whose people they are."""
    subjects: tuple[str, ...]
    """Who."""

    @property
    def people(self) -> frozenset[Person]:
        """The same, so that they can be told from those of other data sets."""
        return frozenset((self.population, subject) for subject in self.subjects)


def _people(parts: Iterable[Part]) -> frozenset[Person]:
    return frozenset().union(*(part.people for part in parts))


@dataclass(frozen=True)
class Training:
    """One network to train."""

    row: str
    """The row of the matrix."""
    variant: str
    """fold-0, fold-1, ..., or everyone."""
    train: tuple[Part, ...]
    """Whom it is trained on."""
    validation: tuple[Part, ...]
    """Who decides which of its weights are best."""

    def __post_init__(self) -> None:
        both = _people(self.train) & _people(self.validation)
        if both:
            raise InputError(
                f"train '{self.row}': {len(both)} people would be in both train and validation, "
                f"such as {min(both)[1]}; {_NAMESAKES}"
            )

    @property
    def name(self) -> str:
        """Unique in the matrix."""
        return f"{self.row}-{self.variant}"

    @property
    def people(self) -> frozenset[Person]:
        """Everyone it has seen."""
        return _people((*self.train, *self.validation))


@dataclass(frozen=True)
class Reading:
    """One model read on some people of a data set."""

    part: Part
    """Who is tested."""
    training: Training | None = None
    """The network; None in the rows of models that need no training."""

    def __post_init__(self) -> None:
        known = self.part.people & (self.training.people if self.training else frozenset())
        if self.training and known:
            raise InputError(
                f"train '{self.training.row}', test '{self.part.data}': {len(known)} people would "
                f"be in both, such as {min(known)[1]}; {_NAMESAKES}"
            )


@dataclass(frozen=True)
class Cell:
    """One figure of the matrix."""

    row: str
    """What is tested: data sets trained on, or a model."""
    column: str
    """Data set tested on."""
    readings: tuple[Reading, ...]
    """What is read; the pulses of all are scored together."""
    n_folds: int | None = None
    """Folds that there are, where people of the trained data set are tested."""

    @property
    def name(self) -> str:
        """Unique in the matrix."""
        return f"{self.row} on {self.column}"

    @property
    def is_within(self) -> bool:
        """Whether others of the same data set were trained on."""
        return self.n_folds is not None


@dataclass(frozen=True)
class MatrixPlan:
    """All that a matrix takes."""

    rows: tuple[str, ...]
    """Those that are trained, then the models that need no training."""
    columns: tuple[str, ...]
    """Data sets tested on."""
    cells: tuple[Cell, ...]
    """Row by row."""

    @property
    def trainings(self) -> tuple[Training, ...]:
        """Each once, in the order in which they are needed."""
        needed = (reading.training for cell in self.cells for reading in cell.readings)
        return tuple(dict.fromkeys(training for training in needed if training is not None))


def make_plan(config: CrossdomainConfig, data: Mapping[str, People]) -> MatrixPlan:
    """The trainings and cells of a matrix.

    A row is trained on everyone of its data sets (or on fold 0, see `across`) and tested on
    everyone of another data set. On a data set of its own it is tested fold by fold, by networks
    trained on the rest of it and on the same fold of the row's other data sets.
    Raises InputError where people are missing, too few, or would be in train and test.
    """
    cells = [_cell(row, column, config, data) for row in config.train for column in config.tested]
    for model in config.models:
        cells += [Cell(model, name, (Reading(_everyone(data[name])),)) for name in config.tested]
    return MatrixPlan((*config.train, *config.models), config.tested, tuple(cells))


def _cell(row: str, column: str, config: CrossdomainConfig, data: Mapping[str, People]) -> Cell:
    people = [data[name] for name in members(row)]
    tested = data[column]
    if column not in members(row):
        training = _fold(row, people, 0) if config.across == "fold-0" else _whole(row, people)
        return Cell(row, column, (Reading(_everyone(tested), training),))
    n_folds = _n_folds(row, people)
    wanted = n_folds if config.folds is None else config.folds
    if wanted > n_folds:
        raise InputError(f"--folds {wanted}: '{row}' has {n_folds}; give no more")
    readings = [
        Reading(_part(tested, tested.folds[number].test), _fold(row, people, number))
        for number in range(wanted)
    ]
    return Cell(row, column, tuple(readings), n_folds)


def _n_folds(row: str, people: Collection[People]) -> int:
    numbers = {one.name: len(one.folds) for one in people}
    if len(set(numbers.values())) > 1:
        found = ", ".join(f"{name} has {number}" for name, number in numbers.items())
        raise InputError(
            f"train '{row}': its data sets need equally many folds, but {found}; give those with "
            "split: random the n_folds of the other"
        )
    return next(iter(numbers.values()))


def _fold(row: str, people: Collection[People], number: int) -> Training:
    groups = {
        group: tuple(_part(one, getattr(one.folds[number], group)) for one in people)
        for group in ("train", "validation")
    }
    return Training(row, f"fold-{number}", groups["train"], groups["validation"])


def _whole(row: str, people: Collection[People]) -> Training:
    """Trained on all but those who validate, who are the same as in fold 0."""

    def train(fold: Fold) -> tuple[str, ...]:
        return (*fold.train, *fold.test)

    return Training(
        row,
        "everyone",
        tuple(_part(one, train(one.folds[0])) for one in people),
        tuple(_part(one, one.folds[0].validation) for one in people),
    )


def _everyone(people: People) -> Part:
    return _part(people, people.subjects)


def _part(people: People, subjects: Collection[str]) -> Part:
    return Part(people.name, people.population, tuple(sorted(subjects, key=natural_order)))
