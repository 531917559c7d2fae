"""The page of a matrix, made of figures given here."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from html_page import accessible_page

from physkit.core.config import to_yaml
from physkit.crossdomain import result as results
from physkit.crossdomain.cells import Figures
from physkit.crossdomain.config import CrossdomainConfig
from physkit.crossdomain.page import matrix_html
from physkit.crossdomain.plan import Cell, MatrixPlan
from physkit.crossdomain.result import matrix_latex, matrix_markdown
from physkit.data.splits import StoreConfig
from physkit.evaluate.config import ScoreConfig
from physkit.evaluate.metrics import Estimate, Metrics

SCRIPT = "<script>alert('\"')</script>"


def figures(mae_bpm: float, folder: Path, conditions: tuple[dict[str, Any], ...]) -> Figures:
    estimate = Estimate(mae_bpm, 0.1, (mae_bpm - 1, mae_bpm + 1))
    return Figures(
        settings={"window_s": 30.0},
        versions={"python": SCRIPT},
        predictions_sha256="ab" * 32,
        n_recordings=4,
        n_subjects=4,
        n_windows=12,
        n_windows_with_rate=11,
        metrics=Metrics(*(estimate,) * 6),
        conditions=conditions,
        subjects={"p1": 0.02, "p2": mae_bpm, "p3": math.nan},
        left_out=((f"clip{SCRIPT}", "no face"),),
        seconds=1.0,
        folder=folder,
        is_new=True,
    )


def result(name: str, mae_bpm: float = 2.344) -> results.CrossdomainResult:
    """A row of a network and one of a model, of which one cell failed; `name` is everywhere."""
    rows, columns, out = (f"net {name}", "pos"), (f"data {name}", "other"), Path("/out")
    cells = tuple(Cell(row, column, ()) for row in rows for column in columns)
    groups = [
        {"group": f"g{i}{name}", "n_subjects": 2, "mae_bpm": v} for i, v in ((1, 4), (2, None))
    ]
    told = ({"condition": f"light {name}", "groups": groups, "gap_bpm": None},)
    plan = MatrixPlan(rows=rows, columns=columns, cells=cells)
    return results.CrossdomainResult(
        plan=plan,
        data=tuple(results.TestedData(c, f"/{name}", name, name, 4, 4, "f" * 16) for c in columns),
        figures={
            cell: figures(mae_bpm, out / "cells" / f"{cell.row}#1", told) for cell in cells[1:]
        },
        trained=(),
        failures={cells[0]: results.Failure(cells[0].name, f"NaN in {name}")},
        settings={
            "models": ["pos"],
            "score": {"protocol": name, "window_s": None, "hr": "fft"},
            "seed": 0,
        },
        notes=(f"note of {name}",),
        out=out,
        seconds=1.0,
    )


def test_a_script_in_any_name_is_text() -> None:
    html = matrix_html(result(SCRIPT))
    page = accessible_page(html)
    assert "<script" not in html
    for told in (
        f"net {SCRIPT}",
        f"data {SCRIPT}",
        f"light {SCRIPT}",
        f"g1{SCRIPT}",
        f"of {SCRIPT}.",
    ):
        assert told in page.text
    (failed,) = [cell for cell in page.all("td") if cell.get("class") == "failed"]
    assert failed["title"] == f"NaN in {SCRIPT}"


def test_the_settings_of_a_config_are_those_that_the_page_tells(tmp_path: Path) -> None:
    config = CrossdomainConfig(
        out=str(tmp_path),
        stores={"a": StoreConfig(store="a.zarr")},
        models=["pos"],
        score=ScoreConfig(window_s="inf", hr="peak"),
        seed=7,
    )
    told = replace(result("a"), settings=yaml.safe_load(to_yaml(config)))
    page = accessible_page(matrix_html(told))
    assert "Heart rate by peak under physkit-1, whole recordings; seed 7." in page.text


def test_every_figure_is_told_and_links_to_its_report() -> None:
    page = accessible_page(matrix_html(result("a")))
    for told in (
        "4 cells, 1 failed",
        "NaN in a",
        "2.34",
        "1.34 to 3.34",
        "11 of 12",
        "2.344 ± 0.100",
    ):
        assert told in page.text
    assert "Note of a." in page.text
    assert {link["href"] for link in page.all("a")} == {
        "cells/net%20a%231/report.html",
        "cells/pos%231/report.html",
    }
    assert page.text.count("gap, worst to best") == 2


@pytest.mark.parametrize("mae_bpm", [math.nan, 0.0, 400.0])
def test_any_error_is_drawn(mae_bpm: float) -> None:
    page = accessible_page(matrix_html(result("$x^{$", mae_bpm)))
    coloured = [cell for cell in page.all("td") if cell.get("class") == "across"]
    assert [("style" in cell) for cell in coloured] == [not math.isnan(mae_bpm)] * 3


def test_the_matrix_can_be_put_into_a_paper() -> None:
    cells = [("", "ubfc_like"), ("50 % & more", "1.23"), ("a|b", "failed")]
    assert matrix_markdown(cells).splitlines() == [
        "|  | ubfc_like |",
        "| --- | ---: |",
        "| 50 % & more | 1.23 |",
        r"| a\|b | failed |",
    ]
    assert matrix_latex(cells).splitlines() == [
        r"\begin{tabular}{lr}",
        r"\toprule",
        r" & ubfc\_like \\",
        r"\midrule",
        r"50 \% \& more & 1.23 \\",
        r"a|b & failed \\",
        r"\bottomrule",
        r"\end{tabular}",
    ]
