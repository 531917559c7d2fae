"""The pictures of a report, each a self-contained SVG."""

import io
import re
from collections.abc import Callable

import matplotlib
import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from physkit.evaluate.examples import Example
from physkit.evaluate.metrics import figures
from physkit.evaluate.result import Score
from physkit.signal.heart_rate import hann_spectrum

BLUE, ORANGE, GREY = "#1f6f9f", "#d1662c", "#8a8f98"
_SHOWN_S = 15.0
"""Seconds of waveform that still show single beats."""
MIN_DOT, MAX_DOT = 7.0, 60.0
"""Smallest and largest area of a dot in square points: 3 points across, and 9."""
DOTS_AREA = 5000.0
"""Area of all dots of a panel together, between those bounds: 5 % of the panel."""


def dot_area(n: int) -> float:
    """Area of each of `n` dots in square points: large enough to see when there are four, and small
    enough to stay apart when there are thousands."""
    return float(np.clip(DOTS_AREA / max(n, 1), MIN_DOT, MAX_DOT))


def dot_alpha(n: int) -> float:
    """Opacity of each of `n` dots, 0.4 to 0.85: lower the smaller they are."""
    return 0.4 + 0.45 * (dot_area(n) - MIN_DOT) / (MAX_DOT - MIN_DOT)


def bland_altman_svg(score: Score) -> str:
    """Differences over means, with bias and limits of agreement."""

    def draw(axes: Axes) -> None:
        table, b = figures(score.windows), score.bland_altman
        mean = (table.rate_bpm + table.label_bpm)[table.has_rate] / 2
        _dots(axes, mean, -table.error_bpm)
        for level, style in ((b.bias_bpm, "-"), (b.lower_bpm, "--"), (b.upper_bpm, "--")):
            if np.isfinite(level):
                axes.axhline(level, color=ORANGE, linestyle=style, linewidth=1.2)
                axes.annotate(
                    f"{level:.2f}", (1.01, level), xycoords=("axes fraction", "data"), va="center"
                )
        axes.set_title("Bland-Altman")
        axes.set_xlabel("mean of true and predicted (bpm)")
        axes.set_ylabel("true - predicted (bpm)")

    return _svg(draw, "bland-altman")


def scatter_svg(score: Score) -> str:
    """Predicted over true heart rate."""

    def draw(axes: Axes) -> None:
        table = figures(score.windows)
        true, rate = table.label_bpm[table.has_rate], table.rate_bpm[table.has_rate]
        if true.size:
            ends = [min(true.min(), rate.min()) - 3, max(true.max(), rate.max()) + 3]
            axes.plot(ends, ends, color=GREY, linewidth=1, zorder=0)
            axes.set(xlim=ends, ylim=ends)
        _dots(axes, true, rate)
        axes.set_aspect("equal")
        axes.set_title("Predicted over true heart rate")
        axes.set_xlabel("true heart rate (bpm)")
        axes.set_ylabel("predicted heart rate (bpm)")

    return _svg(draw, "scatter")


def error_svg(score: Score) -> str:
    """Distribution of the error."""

    def draw(axes: Axes) -> None:
        axes.hist(-figures(score.windows).error_bpm, bins=41, color=BLUE)
        axes.axvline(0, color=GREY, linewidth=1)
        axes.set_title("Distribution of the error")
        axes.set_xlabel("true - predicted (bpm)")
        axes.set_ylabel("windows")

    return _svg(draw, "error")


def coverage_svg(score: Score) -> str:
    """Error over coverage, the best signals first."""

    def draw(axes: Axes) -> None:
        coverage = [100 * point.coverage for point in score.coverage]
        size = min(7.0, dot_area(len(coverage)) ** 0.5)
        errors = [point.mae_bpm for point in score.coverage]
        axes.plot(coverage, errors, "o-", color=BLUE, markersize=size, linewidth=1.2)
        axes.axvline(100 * score.gating.coverage, color=ORANGE, linestyle="--", linewidth=1.2)
        axes.set(xlim=(0, 102))
        axes.set_ylim(bottom=0)
        axes.set_title("Error over coverage")
        axes.set_xlabel("windows answered (%), best quality first")
        axes.set_ylabel("MAE (bpm)")

    return _svg(draw, "coverage")


def waveform_svg(example: Example) -> str:
    """The first seconds of both waveforms, and both spectra."""
    return as_svg(waveform_figure(example), f"waveform-{example.rank}")


def waveform_figure(example: Example) -> Figure:
    """The same, to be drawn anywhere."""
    figure = Figure(figsize=(10, 2.4), layout="constrained")
    wave, spectrum = figure.subplots(1, 2, width_ratios=(2, 1))
    n = min(example.label.size, round(_SHOWN_S * example.fps))
    t = np.arange(n) / example.fps
    for x, color, name in (
        (example.label, GREY, "true"),
        (example.prediction, BLUE, "predicted"),
    ):
        wave.plot(t, x[:n], color=color, linewidth=1.2, label=name)
        power = hann_spectrum(x, fps=example.fps, spacing_hz=0.01)
        shown = power.frequency_hz <= 4
        top = max(power.power.max(), np.finfo(float).tiny)
        spectrum.plot(60 * power.frequency_hz[shown], power.power[shown] / top, color=color)
    wave.set(xlabel="time (s)", ylabel="pulse (SD)")
    wave.set_title("Pulse", loc="left")
    wave.legend(loc="lower right", bbox_to_anchor=(1, 1), frameon=False, ncols=2)
    spectrum.set(xlabel="frequency (bpm)", ylabel="power (of largest)", yticks=(0, 1))
    spectrum.set_title("Spectrum", loc="left")
    bare(wave)
    bare(spectrum)
    return figure


def _dots(axes: Axes, x: Float[np.ndarray, "n"], y: Float[np.ndarray, "n"]) -> None:
    """One for each window."""
    n = x.shape[0]
    axes.scatter(x, y, s=dot_area(n), alpha=dot_alpha(n), color=BLUE, linewidths=0)


def _svg(draw: Callable[[Axes], None], name: str) -> str:
    figure = Figure(figsize=(4.9, 3.7), layout="constrained")
    axes = figure.subplots()
    draw(axes)
    bare(axes)
    return as_svg(figure, name)


def bare(axes: Axes) -> None:
    """Without a frame, and with few numbers along x."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.locator_params(axis="x", nbins=6)


def as_svg(figure: Figure, name: str) -> str:
    """A finished figure as an element of a page.

    name: unique in the page; the ids of the element's parts begin with it.
    """
    stream = io.StringIO()
    # without a date and with ids that are not random, equal scores give equal reports
    with matplotlib.rc_context({"svg.hashsalt": name}):
        figure.savefig(stream, format="svg", metadata={"Date": None})
    text = stream.getvalue()
    return re.sub(r'( id="|href="#|url\(#)', rf"\1{name}-", text[text.index("<svg") :])
