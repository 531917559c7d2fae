"""The people of a run: who trains, who validates and who tests, and nobody on both sides."""

from collections.abc import Mapping

from physkit.core.errors import InputError
from physkit.data.people import People, find_people
from physkit.data.windows.config import WindowSource
from physkit.data.windows.table import WindowTable
from physkit.train.run.config import FitConfig

Person = tuple[str, str]
"""Population and name: two data sets may call two people alike."""


def divided(config: FitConfig) -> dict[str, list[WindowSource]]:
    """The people of train, validation and test.

    Raises InputError for a store that is not there, and where a group would be empty.
    """
    people = find_people(config.stores)
    found = {
        purpose: [_source(people[name], purpose, config) for name in names]
        for purpose, names in config.purposes.items()
    }
    return {purpose: [s for s in sources if s.subjects] for purpose, sources in found.items()}


def _source(people: People, purpose: str, config: FitConfig) -> WindowSource:
    store = people.config
    uses = [use for use, names in config.purposes.items() if people.name in names]
    if store.has_lists:
        subjects = store.listed(purpose, present=people.present)
        if not subjects and purpose != "test":
            raise InputError(
                f"stores: {people.name}: lists nobody for {purpose}; list them, or leave the store "
                f"out of {purpose}"
            )
    elif len(uses) == 1:
        subjects = people.subjects
    else:
        number = store.fold or 0
        if not 0 <= number < len(people.folds):
            raise InputError(
                f"stores: {people.name}: no fold {number}; {people.division} has folds 0 to "
                f"{len(people.folds) - 1}"
            )
        subjects = getattr(people.folds[number], purpose)
    return WindowSource(store.store, subjects)


def check_apart(tables: Mapping[str, WindowTable], populations: Mapping[str, str]) -> None:
    """Raises InputError for a person who is in two tables, called by what they are for.

    populations: by a store's address, whose people it holds, where that is not the data set.
    """
    seen: dict[Person, str] = {}
    for purpose, table in tables.items():
        for recording in table.recordings:
            population = populations.get(recording.store, recording.dataset)
            other = seen.setdefault((population, recording.subject), purpose)
            if other != purpose:
                raise InputError(
                    f"{recording.place}: subject '{recording.subject}' of {population} is "
                    f"in {other} and in {purpose}; list the subjects of each, apart"
                )
