"""Streaming methods that add up overlapping windows: a bounded buffer, true frame times."""

from abc import abstractmethod
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from physkit.models.classical.colour import frame_steps_s, mean_colour
from physkit.nn.streaming import PulseModel

TIME_TOLERANCE_S = 1e-6
"""Frame times are sums of float32 steps: nearer than this to a window's edge is on the edge."""
MIN_WINDOW_FRAMES = 3
"""Three colour channels cannot be told apart by fewer frames."""


@dataclass(frozen=True, eq=False)
class Stream:
    """What one stream carries: the frames that a window may still reach, and finished samples.

    A frame lasts from the frame before until its own time; the stream starts at 0 s.
    """

    times_s: Float[np.ndarray, "n"]
    colours: Float[np.ndarray, "n 3"]
    pulse: Float[np.ndarray, "n"]
    """Sum of the windows so far, at the buffered frames."""
    finished: Float[np.ndarray, "m"]
    """Samples that no later window reaches, and that were not yet given out."""
    time_s: float
    window_end_s: float
    """Where the next window ends."""


@dataclass(frozen=True, eq=False)
class OverlapAddState:
    """One `Stream` a batch entry; `like` carries the device and dtype of the answers."""

    streams: tuple[Stream, ...]
    like: Float[Tensor, "b 0"]


class OverlapAdd(PulseModel[OverlapAddState]):
    """Base of the methods that compute the pulse window by window and add the windows up.

    Windows are cut by time and hold however many frames fell into them, so the frame rate may
    vary. A sample is given once no later window reaches its frame, at most one a frame, about
    one window after the frame; `finish` gives the last ones. Frames that no whole window covers
    have pulse 0. In a batch all streams answer alike, hence as late as the slowest.

    window_s: length of a window. hop_s: distance of windows; None ends one at every frame.
    """

    def __init__(self, *, window_s: float, hop_s: float | None) -> None:
        super().__init__()
        self.window_s = window_s
        self.hop_s = hop_s

    @abstractmethod
    def window_pulse(
        self, colours: Float[np.ndarray, "n 3"], times_s: Float[np.ndarray, "n"]
    ) -> Float[np.ndarray, "n"]:
        """What one window adds to the pulse at its frames; times are 0 to `window_s` within it."""

    def init_state(self, batch_size: int = 1) -> OverlapAddState:
        """Empty buffers at time 0."""
        empty = np.zeros(0)
        stream = Stream(empty, np.zeros((0, 3)), empty, empty, 0.0, self.window_s)
        return OverlapAddState((stream,) * batch_size, torch.zeros((batch_size, 0)))

    def forward(
        self,
        clip: Float[Tensor, "b t h w 3"],
        dt_s: Float[Tensor, "b t"],
        state: OverlapAddState | None = None,
    ) -> tuple[Float[Tensor, "b k"], OverlapAddState]:
        """Pulse samples that became final, k <= t; see `PulseModel.forward`."""
        state = self.init_state(clip.shape[0]) if state is None else state
        colours, steps_s = mean_colour(clip), frame_steps_s(dt_s)
        streams, answers = list(state.streams), []
        for t in range(clip.shape[1]):
            streams = [
                self._advance(stream, colours[b, t], float(steps_s[b, t]))
                for b, stream in enumerate(streams)
            ]
            if all(len(stream.finished) for stream in streams):
                answers.append([stream.finished[0] for stream in streams])
                streams = [replace(stream, finished=stream.finished[1:]) for stream in streams]
        like = clip.new_zeros((clip.shape[0], 0))
        pulse = like.new_tensor(np.array(answers)).T if answers else like
        return pulse, OverlapAddState(tuple(streams), like)

    def finish(self, state: OverlapAddState) -> Float[Tensor, "b k"]:
        """The samples of the last window, to which no further window will add."""
        owed = [np.concatenate([stream.finished, stream.pulse]) for stream in state.streams]
        return state.like.new_tensor(np.stack(owed))

    def _advance(self, stream: Stream, colour: Float[np.ndarray, "3"], dt_s: float) -> Stream:
        """The stream one frame later."""
        time_s = stream.time_s + dt_s
        times_s = np.append(stream.times_s, time_s)
        colours = np.concatenate([stream.colours, colour[None]])
        pulse = np.append(stream.pulse, 0.0)
        end_s = stream.window_end_s
        if self.hop_s is None:
            if time_s >= self.window_s - TIME_TOLERANCE_S:
                weight = min(dt_s / self.window_s, 1.0)
                pulse += weight * self._window(colours, times_s, time_s)
            reached_s = time_s - self.window_s
        else:
            while time_s >= end_s - TIME_TOLERANCE_S:
                pulse += self._window(colours, times_s, end_s)
                end_s += self.hop_s
            reached_s = end_s - self.window_s
        done = int(np.searchsorted(times_s, reached_s + TIME_TOLERANCE_S, side="right"))
        finished = np.concatenate([stream.finished, pulse[:done]]) if done else stream.finished
        return Stream(times_s[done:], colours[done:], pulse[done:], finished, time_s, end_s)

    def _window(
        self, colours: Float[np.ndarray, "n 3"], times_s: Float[np.ndarray, "n"], end_s: float
    ) -> Float[np.ndarray, "n"]:
        """What the window that ends at `end_s` adds to each buffered frame."""
        start_s = end_s - self.window_s
        first, last = np.searchsorted(
            times_s, [start_s + TIME_TOLERANCE_S, end_s + TIME_TOLERANCE_S], side="right"
        )
        added = np.zeros_like(times_s)
        if last - first >= MIN_WINDOW_FRAMES:
            inside = slice(first, last)
            added[inside] = self.window_pulse(colours[inside], times_s[inside] - start_s)
        return added
