import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from html_page import accessible_page
from jinja2 import UndefinedError

from physkit.core.errors import InputError
from physkit.evaluate.report.figures import MAX_DOT, MIN_DOT, dot_alpha, dot_area
from physkit.evaluate.report.page import report_html
from physkit.evaluate.report.render import render
from physkit.evaluate.report.results import write_results
from physkit.evaluate.scoring import score_recordings


@pytest.fixture(scope="module")
def score(recordings):
    return score_recordings(recordings(8), protocol="physkit-1", window_s=None, hr="fft")


def test_the_three_files_say_the_same(score, tmp_path: Path) -> None:
    write_results(score, tmp_path / "deep" / "out")
    out = tmp_path / "deep" / "out"
    names = ["metrics.json", "report.html", "windows.parquet"]
    assert sorted(p.name for p in out.iterdir()) == names
    assert [p.name for p in out.parent.iterdir()] == ["out"]
    told = json.loads((out / "metrics.json").read_text())
    table = pq.read_table(out / "windows.parquet").to_pydict()
    assert told["n_windows"] == len(table["recording"]) == 8 * 11
    errors = np.abs(np.array(table["heart_rate_bpm"]) - np.array(table["label_heart_rate_bpm"]))
    assert told["metrics"]["mae_bpm"]["value"] == pytest.approx(errors.mean())
    assert set(table) >= {"subject", "start_s", "snr_db", "macc", "quality", "light", "skin_tone"}
    assert f"{told['metrics']['mae_bpm']['value']:.4f}" in (out / "report.html").read_text()


def test_the_report_asks_the_network_for_nothing(score, tmp_path: Path) -> None:
    write_results(score, tmp_path / "out")
    html = (tmp_path / "out" / "report.html").read_text()
    assert html.count("<svg") == 4 + 3
    assert not re.search(r"(src|href)\s*=\s*[\"'](?!#)", html)
    assert "<script" not in html
    assert "url(http" not in html


def test_names_are_escaped(recordings, tmp_path: Path) -> None:
    named = [
        r.__class__(f"<b>{r.recording}", *list(r.__dict__.values())[1:]) for r in recordings(2)
    ]
    score = score_recordings(named, protocol="toolbox-2025-03", window_s=None, hr="fft")
    write_results(score, tmp_path / "out")
    assert "<b>" not in (tmp_path / "out" / "report.html").read_text()


def test_a_script_in_any_name_is_text(recordings) -> None:
    script = "<script>alert('x')</script>"
    named = [
        replace(r, recording=f"{script}{r.recording}", conditions={f"{script}&": script + light})
        for r, light in zip(recordings(4), "abab", strict=True)
    ]
    score = score_recordings(named, protocol="physkit-1", window_s=None, hr="fft")
    html = report_html(replace(score, predictions_file=script, versions={"</style>": script}))
    page = accessible_page(html)
    assert "<script" not in html
    for told in (f"best: {script}", f"{script}&", f"{script}a", f"predictions{script}"):
        assert told in page.text


def test_the_page_is_accessible_and_equal_scores_give_equal_pages(score) -> None:
    html = report_html(score)
    page = accessible_page(html)
    assert page.title == "physkit-1 report"
    assert all(told in page.text for told in ("skin_tone", "light", "MAE (bpm)", "SNR (dB)"))
    assert html == report_html(score)


def test_a_template_that_lacks_a_value_is_an_error() -> None:
    with pytest.raises(UndefinedError, match="score"):
        render("evaluate/report/report.html.j2")


def test_few_dots_are_large_and_thousands_small_within_bounds() -> None:
    areas = [dot_area(n) for n in (0, 1, 4, 40, 200, 1000, 10_000)]
    assert areas == sorted(areas, reverse=True)
    assert areas[2] == MAX_DOT
    assert areas[-2:] == [MIN_DOT, MIN_DOT]
    assert dot_alpha(4) == pytest.approx(0.85)
    assert dot_alpha(10_000) == pytest.approx(0.4)


def test_a_second_run_replaces_the_first(score, tmp_path: Path) -> None:
    write_results(score, tmp_path)
    before = (tmp_path / "metrics.json").read_text()
    write_results(score, tmp_path)
    assert (tmp_path / "metrics.json").read_text() == before


def test_a_failure_leaves_nothing(score, tmp_path: Path, monkeypatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr("physkit.evaluate.report.results.report_html", full)
    with pytest.raises(InputError, match="cannot be written"):
        write_results(score, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="is a file"):
        write_results(score, tmp_path / "file")


@pytest.mark.parametrize("window_s", [None, float("inf")])
@pytest.mark.parametrize("hr", ["fft", "peak"])
def test_one_short_recording_is_scored_and_reported(recordings, tmp_path, window_s, hr) -> None:
    (recording,) = recordings(1, duration_s=5)
    score = score_recordings([recording], protocol="physkit-1", window_s=window_s, hr=hr)
    write_results(score, tmp_path / "out")
    told = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert told["n_windows"] == 1
    assert told["metrics"]["pearson"]["value"] is None
    assert any("Pearson r" in line and "-" in line for line in score.lines())


def test_flat_predictions_are_scored_without_a_traceback(recordings, tmp_path: Path) -> None:
    (r,) = recordings(1)
    flat = r.__class__("r", "s", 30.0, np.zeros(1200), r.label, "waveform")
    score = score_recordings([flat], protocol="physkit-1", window_s=None, hr="fft")
    assert score.n_windows_with_rate == 0
    write_results(score, tmp_path / "out")
    assert json.loads((tmp_path / "out" / "metrics.json").read_text())["gating"]["coverage"] == 0


def test_variability_is_scored_where_recordings_are_long_enough(recordings) -> None:
    score = score_recordings(
        recordings(2, duration_s=45, noise=0.05), protocol="physkit-1", window_s=None, hr="fft"
    )
    assert score.hrv is not None
    assert score.hrv.n_recordings == 2
    assert score.hrv.sdnn_mae_ms < 20
    assert score.hrv.lf_hf_mae is None
