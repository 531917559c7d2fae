"""Which columns of a predictions file results are broken down by."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from physkit.evaluate.conditions import breakdowns
from physkit.evaluate.windows import WindowRow


def found(rows: Sequence[tuple[str, Mapping[str, Any]]]) -> dict[str, list[str]]:
    """Conditions and their groups, of a window for each subject and its conditions."""
    windows = [
        WindowRow(f"r{i}", subject, 0.0, 30.0, 60.0, 61.0, 1.0, 0.5, 1.0, 30.0, conditions)
        for i, (subject, conditions) in enumerate(rows)
    ]
    told = breakdowns(windows, min_quality=0.3)
    return {one.condition: [group.group for group in one.groups] for one in told}


def people(n: int, **columns: Sequence[Any]) -> list[tuple[str, dict[str, Any]]]:
    return [(f"s{i + 1}", {name: values[i] for name, values in columns.items()}) for i in range(n)]


def test_spellings_of_a_condition_are_one_across_data_sets() -> None:
    mmpd = people(2, glasser=[True, False], skin_color=[3, 4])
    drawn = people(2, glasses=[True, False], glasser=[True, False], skin_color=[3, 4])
    other = people(2, **{"Glasses": [True, True], "Skin-Colour": [5, 5], "make up": ["no", "yes"]})
    groups = {
        "glasses": ["False", "True"],
        "makeup": ["no", "yes", "missing"],
        "skin_color": ["3", "4", "5"],
    }
    assert found([*mmpd, *drawn, *other]) == groups


def test_the_common_spelling_counts_where_two_disagree_and_another_where_it_is_missing() -> None:
    rows = people(4, glasser=["a", "a", "b", "b"], glasses=["c", "c", None, None])
    assert found(rows) == {"glasses": ["b", "c"]}


@pytest.mark.parametrize(
    "column", ["subject_number", "session_number", "session", "subject_id", "ID", "recording_name"]
)
def test_who_or_what_was_recorded_is_no_condition_by_name(column: str) -> None:
    assert found(people(4, **{column: [1, 1, 2, 2], "light": list("aabb")})) == {
        "light": ["a", "b"]
    }


@pytest.mark.parametrize(
    "values", [[1, 2], [1.0, 2.0], ["s1", "s2"], ["1", "2"], ["r0", "r1"]], ids=str
)
def test_who_or_what_was_recorded_is_no_condition_by_value(values: list[Any]) -> None:
    assert found(people(2, who=values)) == {}


def test_what_differs_for_everybody_groups_nobody_but_a_skin_tone_is_still_judged() -> None:
    rows = people(4, birthday=list("abcd"), lamp=["x", "x", "y", "z"], skin_tone=[1, 2, 3, 4])
    assert found(rows) == {"lamp": ["x", "y", "z"], "skin_tone": ["1", "2", "3", "4"]}


def test_two_people_may_be_the_two_groups_of_a_condition() -> None:
    assert found(people(2, light=["dim", "bright"])) == {"light": ["bright", "dim"]}
