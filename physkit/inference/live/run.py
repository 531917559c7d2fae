"""`physkit predict` of a camera, or of a file as if it came from one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any

from physkit.core.interrupt import CtrlC
from physkit.face.follow import FaceFollower
from physkit.inference.crops import TimedCrop, choose_detector, crops_of_file
from physkit.inference.live.measure import Measurement
from physkit.inference.live.queue import Captured, FreshQueue
from physkit.inference.live.source import Pacer, capture
from physkit.inference.live.stages import Stages
from physkit.inference.live.view import LiveView, chosen_stream, terminal_view
from physkit.inference.waveform import LiveFigures, Waveform
from physkit.media.frames import CAMERA_PREFIX, CROPS_SUFFIXES, Frame
from physkit.media.open import open_frames

if TYPE_CHECKING:
    from physkit.inference.config import PredictConfig
    from physkit.inference.readers import Choice

PICTURES_WAITING = 32
"""Pictures that wait to be tracked at most; a raw one takes a megabyte."""
CROPS_WAITING = 256
"""Crops that wait to be read at most."""
DRAW_EVERY_S = 0.1
"""How often the view is drawn anew."""
MANY_DROPPED = 0.05
"""Share of frames dropped from which on the user is told."""
MUCH_BEHIND_S = 0.5
"""How much later than recorded a file may end before the user is told."""


@dataclass(frozen=True, eq=False)
class _Input:
    """Where frames come from, and how each becomes a crop."""

    items: Iterable[Any]
    crop: Callable[[Any], TimedCrop]
    close: Callable[[], None]
    detector: str | None
    warnings: Callable[[], tuple[str, ...]]


def read_live(config: PredictConfig, choice: Choice, *, progress: bool) -> Waveform:
    """The pulse of a camera, or of a file played in real time, until it ends or Ctrl-C is pressed.

    progress: show the live view where a terminal is at hand.
    Raises PhyskitError where the input cannot be used, KeyboardInterrupt before the first frame.
    """
    stream = chosen_stream(config.view, wanted=progress)
    view = nullcontext(None) if stream is None else terminal_view(stream)
    run = _Run(_open_input(config, choice.size_px), Measurement(choice.reader), config)
    title = f"{Path(config.input).name}   {choice.model} ({choice.runtime})"
    with CtrlC() as ctrl_c:
        run.start()
        try:
            with view as show:
                live_view = LiveView(
                    show,
                    run.measurement,
                    title=title,
                    n_dropped=run.n_dropped,
                    gate=choice.gate,
                )
                while not (ctrl_c.is_pressed or run.is_over(wait_s=DRAW_EVERY_S)):
                    live_view.draw()
        finally:
            run.stop()
        result = run.result()
    if ctrl_c.is_pressed and not len(result.pulse.samples):
        raise KeyboardInterrupt
    return result


class _Run:
    """The stages of one live run."""

    def __init__(self, source: _Input, measurement: Measurement, config: PredictConfig) -> None:
        self.measurement = measurement
        self._input = source
        self._config = config
        self._stop = Event()
        self._pacer = Pacer(stop=self._stop, late_s=config.late_s)
        self._pictures = FreshQueue[Any](capacity=PICTURES_WAITING, late_s=config.late_s)
        self._crops = FreshQueue[TimedCrop](capacity=CROPS_WAITING, late_s=config.late_s)
        self._stages = Stages(self._stop)
        self._ended: str | None = None

    def start(self) -> None:
        self._stages.start("capture", self._capture, closes=[self._pictures])
        self._stages.start("track", self._track, closes=[self._pictures, self._crops])
        self._stages.start(
            "infer", partial(self.measurement.run, self._crops), closes=[self._crops]
        )

    def is_over(self, *, wait_s: float) -> bool:
        return self._stages.are_over(wait_s=wait_s)

    def stop(self) -> None:
        """Takes no more frames; those that wait are read."""
        self._stop.set()
        self._pictures.close()  # a camera may hang before it sees that it is to stop

    def n_dropped(self) -> int:
        return self._pictures.n_dropped + self._crops.n_dropped

    def result(self) -> Waveform:
        """Waits for the stages to end. Raises what one of them raised."""
        self._stages.join()
        pulse = self.measurement.pulse
        assert pulse is not None
        figures = LiveFigures(*self.measurement.latency_ms(), self.n_dropped())
        warnings = self._warnings(len(pulse.samples), figures.dropped_frames)
        measurement, detector = self.measurement, self._input.detector
        numbers, n_seen = measurement.face_numbers, measurement.n_seen
        return Waveform(pulse, numbers, n_seen, detector, figures, tuple(warnings))

    def _capture(self) -> None:
        items = self._input.items
        if not self._config.input.startswith(CAMERA_PREFIX):
            items = self._pacer.play(items)
        try:
            self._ended = capture(
                items, self._pictures, stop=self._stop, duration_s=self._config.duration_s
            )
        finally:
            self._input.close()

    def _track(self) -> None:
        while (picture := self._pictures.take()) is not None:
            self._crops.put(Captured(self._input.crop(picture.item), picture.captured_s))

    def _warnings(self, n_read: int, n_dropped: int) -> list[str]:
        found = list(self._input.warnings())
        if self._ended:
            found.append(f"{self._ended}; the result is what was measured until then")
        n_all = n_read + n_dropped
        if n_dropped > MANY_DROPPED * n_all:
            found.append(
                f"{n_dropped} of {n_all} frames came too late and were dropped: this machine does "
                "not keep up; another --runtime, fewer programs or a smaller picture help"
            )
        if self._pacer.behind_s > MUCH_BEHIND_S:
            found.append(
                f"{self._config.input}: is decoded slower than in real time, and took "
                f"{self._pacer.behind_s:.1f} s longer"
            )
        return found


def _open_input(config: PredictConfig, size_px: int) -> _Input:
    if Path(config.input).suffix.lower() in CROPS_SUFFIXES:
        crops, _, notes = crops_of_file(
            config.input,
            size=size_px,
            fps=config.fps,
            face=config.face,
        )
        return _Input(crops, lambda crop: crop, lambda: None, None, lambda: notes)
    detector, name = choose_detector(config.face)
    follower = FaceFollower(detector)

    def crop(frame: Frame) -> TimedCrop:
        return TimedCrop.of_tracked(follower.see(frame), size=size_px)

    source = open_frames(config.input, fps=config.fps)
    return _Input(source, crop, source.close, name, lambda: source.warnings)
