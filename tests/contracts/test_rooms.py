"""The house itself: no circle between files, no file too long, thin pipelines."""

import graphlib
import subprocess
import sys
from pathlib import Path

import grimp
import pytest

import physkit

ROOT = Path(__file__).parents[2] / "physkit"
MOST_LINES = 400
MOST_LINES_OF_PIPELINES = 2500


def n_lines(path: Path) -> int:
    return len(path.read_text("utf-8").splitlines())


def test_no_two_files_import_each_other_in_a_circle() -> None:
    house = grimp.build_graph("physkit", cache_dir=None)  # imports for types alone count too
    imports = {name: house.find_modules_directly_imported_by(name) for name in house.modules}
    graphlib.TopologicalSorter(imports).prepare()  # raises CycleError, which names the circle


def test_no_file_is_longer_than_400_lines() -> None:
    long = [path for path in ROOT.rglob("*.py") if n_lines(path) > MOST_LINES]
    assert [str(path.relative_to(ROOT)) for path in long] == []


def test_pipelines_are_thin() -> None:
    assert sum(map(n_lines, (ROOT / "pipelines").rglob("*.py"))) < MOST_LINES_OF_PIPELINES


@pytest.mark.parametrize("name", [n for n in physkit.__all__ if (ROOT / n).is_dir()])
def test_a_function_can_be_called_after_the_room_of_its_name_was_imported(name: str) -> None:
    function = physkit._LAZY[name]
    code = f"import physkit, {function}; physkit.{name}()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert f"{name}() missing" in done.stderr  # not: 'module' object is not callable
