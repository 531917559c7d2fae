from collections.abc import Mapping

import numpy as np
import pytest

from physkit.evaluate.bootstrap import with_intervals
from physkit.evaluate.conditions import ansi_verdicts, breakdowns
from physkit.evaluate.gating import coverage_curve, gating
from physkit.evaluate.metrics import bland_altman, figures, metrics
from physkit.evaluate.protocols import PROTOCOLS
from physkit.evaluate.windows import WindowRow

OURS = PROTOCOLS["physkit-1"]


def window(
    rate: float,
    label: float,
    *,
    subject: str = "s",
    quality: float = 1.0,
    conditions: Mapping[str, object] | None = None,
) -> WindowRow:
    return WindowRow(
        "r",
        subject,
        0.0,
        30.0,
        float(rate),
        float(label),
        1.0,
        0.5,
        quality,
        30.0,
        conditions or {},
    )


def random_windows(n_subjects: int, per_subject: int, *, seed: int = 0) -> list[WindowRow]:
    rng = np.random.default_rng(seed)
    made = []
    for subject in range(n_subjects):
        bias = rng.normal(0, 3)
        for _ in range(per_subject):
            label = rng.uniform(50, 110)
            made.append(window(label + bias + rng.normal(), label, subject=f"s{subject}"))
    return made


def test_aggregates_of_a_table_worked_by_hand() -> None:
    table = figures([window(61, 60), window(58, 60), window(80, 80), window(53, 50)])
    result = metrics(table, OURS)
    assert result.mae_bpm.value == pytest.approx(1.5)
    assert result.mae_bpm.standard_error == pytest.approx(np.std([1, 2, 0, 3]) / 2)
    assert result.rmse_bpm.value == pytest.approx(np.sqrt(14 / 4))
    assert result.rmse_bpm.standard_error == pytest.approx(np.sqrt(np.std([1, 4, 0, 9]) / 2))
    assert result.mape_percent.value == pytest.approx(np.mean([1 / 60, 2 / 60, 0, 3 / 50]) * 100)
    agreement = bland_altman(table, OURS)
    assert agreement.bias_bpm == pytest.approx(-0.5)
    assert agreement.upper_bpm == pytest.approx(-0.5 + 1.96 * np.std([-1, 2, 0, -3], ddof=1))


def test_windows_without_a_rate_count_in_no_rate_figure() -> None:
    table = figures([window(61, 60), window(float("nan"), 60), window(62, float("nan"))])
    result = metrics(table, OURS)
    assert result.mae_bpm.value == 1
    assert np.isnan(result.pearson.value)
    assert result.macc.value == 0.5


@pytest.mark.parametrize("n", [0, 1, 2])
def test_few_windows_have_no_spread_but_no_error_either(n: int) -> None:
    windows = [window(60 + i, 61 + 2 * i, subject=f"s{i}") for i in range(n)]
    table = figures(windows)
    result = with_intervals(metrics(table, OURS), table, windows, seed=0)
    assert np.isnan(result.pearson.standard_error)
    assert np.isnan(result.mae_bpm.value) == (n == 0)
    assert np.isnan(bland_altman(table, OURS).bias_bpm) == (n < 2)


def test_the_interval_is_over_subjects_not_windows() -> None:
    few = random_windows(8, 100)
    table = figures(few)
    result = with_intervals(metrics(table, OURS), table, few, seed=0)
    low, high = result.mae_bpm.interval
    assert low < result.mae_bpm.value < high
    # 800 windows would pretend to know the error six times better
    assert high - low > 6 * result.mae_bpm.standard_error


def test_the_bootstrap_equals_a_plain_loop_over_resampled_subjects() -> None:
    windows = random_windows(5, 4)
    table = figures(windows)
    result = with_intervals(metrics(table, OURS), table, windows, seed=3, n_resamples=400)
    counts = np.random.default_rng(3).multinomial(5, np.full(5, 0.2), size=400)
    groups = [[w for w in windows if w.subject == f"s{i}"] for i in range(5)]
    drawn: dict[str, list[float]] = {"mae_bpm": [], "rmse_bpm": [], "pearson": []}
    for row in counts:
        sample = [w for group, count in zip(groups, row, strict=True) for w in group * count]
        values = metrics(figures(sample), OURS)
        for name, kept in drawn.items():
            kept.append(getattr(values, name).value)
    for name, kept in drawn.items():
        expected = np.quantile(kept, (0.025, 0.975))
        np.testing.assert_allclose(getattr(result, name).interval, expected, rtol=1e-8)


def test_abstaining_on_poor_signals_lowers_the_error() -> None:
    good = [window(61, 60, quality=0.9) for _ in range(30)]
    poor = [window(90, 60, quality=0.1) for _ in range(10)]
    table = figures([*good, *poor, window(float("nan"), 60, quality=0.0)])
    gated = gating(table, min_quality=0.5)
    assert gated.coverage == pytest.approx(30 / 41)
    assert gated.mape_gated_percent == pytest.approx(100 / 60)
    assert gated.mape_percent == pytest.approx((30 * 100 / 60 + 10 * 50) / 40)
    curve = coverage_curve(table)
    assert [point.mae_bpm for point in curve] == sorted(point.mae_bpm for point in curve)
    assert curve[-1].coverage <= 40 / 41


def test_the_gap_lies_between_the_best_and_the_worst_group() -> None:
    windows = [
        window(60 + error, 60, conditions={"motion": name})
        for name, error in (("still", 1), ("talking", 2), ("walking", 7))
        for _ in range(4)
    ]
    (found,) = breakdowns(windows, min_quality=0.3)
    assert (found.best, found.worst, found.gap_bpm) == ("still", "walking", 6)
    assert [g.n_windows for g in found.groups] == [4, 4, 4]
    assert ansi_verdicts([found]) == ()


def test_ansi_asks_every_skin_tone() -> None:
    windows = [
        window(60 + error, 60, conditions={"fitzpatrick": tone})
        for tone, error in ((2, 1), (4, 2), (6, 7))
    ]
    (verdict,) = ansi_verdicts(breakdowns(windows, min_quality=0.3))
    assert not verdict.meets
    assert verdict.failing == ("6",)
    (fair,) = ansi_verdicts(breakdowns(windows[:2], min_quality=0.3))
    assert fair.meets


def test_a_column_of_readings_is_no_grouping_and_null_is_a_group() -> None:
    windows = [window(60, 60, conditions={"lux": 3.1 * i, "light": None}) for i in range(30)]
    windows += [window(60, 60, conditions={"lux": 1.0, "light": "lamp"})]
    (found,) = breakdowns(windows, min_quality=0.3)
    assert [g.group for g in found.groups] == ["lamp", "missing"]


def test_a_measure_of_each_person_is_no_grouping_and_a_shared_fraction_is_one() -> None:
    windows = [
        window(60, 60, subject=f"s{i}", conditions={"height_m": 1.6 + 0.01 * i, "lux": lux})
        for i in range(4)
        for lux in (1.6, 2.5)
    ]
    (found,) = breakdowns(windows, min_quality=0.3)
    assert (found.condition, [g.group for g in found.groups]) == ("lux", ["1.6", "2.5"])
