"""Which windows are taken from which stores, and what is done to them. Imports nothing heavy."""

import math
from dataclasses import dataclass, field
from typing import Literal

from physkit.core.errors import InputError

FrameClock = Literal["native", "nearest", "linear"]
FrameForm = Literal["raw", "uint8", "standardised", "diff"]
LabelForm = Literal["raw", "standardised", "diff"]
Weighting = Literal["duration", "equal", "store"]


@dataclass(frozen=True)
class WindowSource:
    """A store, or some people of it."""

    store: str
    """Path or fsspec address of the store."""
    subjects: tuple[str, ...] | None = None
    """The people whose recordings are used; None means everyone. Those that the store lacks are
    reported, not fatal."""


@dataclass(frozen=True)
class ContentConfig:
    """On which clock a window's frames lie, and in which form they and the label are."""

    clock: FrameClock = "native"
    """native: frames at their own times, nothing resampled. nearest: the frame nearest to each
    moment of a uniform clock. linear: between the two frames around it; smooths noise a little. The
    label is taken at the times of the window's clock by a spline, whichever it is."""
    fps: float | None = None
    """Rate of the uniform clock in Hz; None for native."""
    form: FrameForm = "raw"
    """raw: float32 in [0, 1]. uint8: as stored, 0 to 255. standardised: zero mean and unit standard
    deviation. diff: normalised differences of neighbouring frames over their standard deviation."""
    label_form: LabelForm | None = None
    """raw, standardised or diff; None means diff beside diff frames and standardised beside all
    others."""

    def __post_init__(self) -> None:
        if self.clock == "native" and self.fps is not None:
            raise InputError(
                f"content: fps {self.fps} needs a uniform clock; set clock to nearest or linear"
            )
        if self.clock != "native" and not (self.fps and 0 < self.fps < math.inf):
            raise InputError(
                f"content: the {self.clock} clock needs a rate, not {self.fps}; "
                "give frames a second as fps"
            )


@dataclass(frozen=True)
class TimeScaleConfig:
    """Windows played faster or slower, so that every heart rate is seen often enough."""

    share: float = 0.3 / 1.3
    """Share of windows that are scaled; 0.3 / 1.3 extends a training set by 30 %."""
    low_bpm: float = 30.0
    """Slowest heart rate aimed at."""
    high_bpm: float = 180.0
    """Fastest heart rate aimed at."""
    max_factor: float = 2.5
    """Most that time is sped up or slowed down: from 72 bpm, 30 and 180 are that far."""

    def __post_init__(self) -> None:
        _check_share("share", self.share)
        if not 0 < self.low_bpm < self.high_bpm < math.inf:
            raise InputError(
                f"time_scale: {self.low_bpm} to {self.high_bpm} bpm is no range of heart rates; "
                "let low_bpm be above 0 and under high_bpm"
            )
        if not 1 <= self.max_factor < math.inf:
            raise InputError(f"time_scale: max_factor is {self.max_factor}; give 1 or more")


@dataclass(frozen=True)
class AugmentConfig:
    """How much windows are varied; the defaults of what the frames look like are mild."""

    time_scale: TimeScaleConfig = field(default_factory=TimeScaleConfig)
    """Time scaling."""
    flip: float = 0.5
    """Share of windows that are mirrored left to right."""
    brightness: float = 0.2
    """Most by which the logarithm of the grey levels is moved, either way: 0.2 is 18 % darker to
    22 % brighter. A gain leaves the pulse's relative strength as it is; under a gamma of 2.2 it is
    a gain of light to the power of 2.2. What exceeds white is clipped, as a camera does."""
    colour_temperature: float = 0.1
    """Most by which the logarithm of red is raised and that of blue lowered, or the reverse: 0.1 is
    10 % redder and 10 % less blue."""
    crop: float = 0.1
    """Largest share of the crop's side that is cut off; what is left lies anywhere in the crop, to
    a fraction of a pixel, and is enlarged to the full side. Nothing outside of it is made up."""

    def __post_init__(self) -> None:
        _check_share("flip", self.flip)
        for name in ("brightness", "colour_temperature"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"augment: {name} is {getattr(self, name)}; give 0 to 1")
        if not 0 <= self.crop <= 0.5:
            raise InputError(f"augment: crop is {self.crop}; give 0 to 0.5")


@dataclass(frozen=True)
class RandomWindowsConfig:
    """Which windows are drawn, and what is done to them."""

    n_frames: int = 160
    """Frames in every window."""
    windows_per_epoch: int | None = None
    """Windows in an epoch; None means as many as the recordings have room for side by side."""
    weighting: Weighting = "duration"
    """duration: every usable second is drawn equally often. equal: every recording is. store: every
    store is, and in each store every usable second."""
    seed: int | None = None
    """Decides all draws; by default the seed of the run, or 0."""
    content: ContentConfig = field(default_factory=ContentConfig)
    """Clock and form."""
    augment: AugmentConfig | None = None
    """Random variation; None means none."""

    def __post_init__(self) -> None:
        _check_positive("n_frames", self.n_frames)
        if self.windows_per_epoch is not None:
            _check_positive("windows_per_epoch", self.windows_per_epoch)
        if self.seed is not None and self.seed < 0:
            raise InputError(f"windows: seed is {self.seed}; give 0 or above")


@dataclass(frozen=True)
class DataConfig(RandomWindowsConfig):
    """Windows that a network is trained on and validated by."""

    augment: AugmentConfig | None = field(default_factory=AugmentConfig)
    """Random variation; null: none."""
    batch_size: int = 4
    """Windows in a batch, over all processes."""
    validation_window_s: float | None = None
    """Length of validation windows in seconds; by default each unbroken stretch whole."""

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_positive("batch_size", self.batch_size)
        if self.validation_window_s is not None:
            _check_positive("validation_window_s", self.validation_window_s)


@dataclass(frozen=True)
class SlidingWindowsConfig:
    """Which windows are listed."""

    window_s: float | None = None
    """Length of a window in seconds, to the nearest frame; None means each unbroken stretch whole,
    which is the whole recording unless the face or the label was lost."""
    step_s: float | None = None
    """Seconds from one window's start to the next; None means the length of a window."""
    content: ContentConfig = field(default_factory=ContentConfig)
    """Clock and form."""

    def __post_init__(self) -> None:
        if self.window_s is not None:
            _check_positive("window_s", self.window_s)
        if self.step_s is not None:
            _check_positive("step_s", self.step_s)
            if self.window_s is None:
                raise InputError(f"windows: step_s {self.step_s} needs a window_s; set both")


def _check_share(name: str, value: float) -> None:
    """Raises InputError unless `value` is a share."""
    if not 0 <= value <= 1:
        raise InputError(f"augment: {name} is {value}; give a share from 0 to 1")


def _check_positive(name: str, value: float) -> None:
    if not 0 < value < math.inf:
        raise InputError(f"windows: {name} is {value}; give a number above 0")
