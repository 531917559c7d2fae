"""What an audit can find, and what to do about it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Severity = Literal["error", "warning", "note"]
"""An error leaves nothing to work with, a warning spoils training or figures, a note is for the
user to know."""
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")
"""From the worst on."""

CHECKS: Mapping[str, str] = {
    "video-missing": "copy or download the recording again",
    "video-unreadable": "copy or download the video again; physkit prep leaves the recording out",
    "label-missing": "copy or download the recording again",
    "label-unreadable": "copy or download the label again; physkit prep leaves the recording out",
    "label-mended": "look whether what was mended is what you expect, or repair the file",
    "damaged-frames": "none, if they are few: they count as not seen; else copy the video again",
    "condition-unknown": "correct it in the file, or leave it: it is in no group of results",
    "frame-times": "repair the times at their source: no frame can be placed by them",
    "frame-jitter": "keep to the true times, as physkit does, and never count frames by a rate",
    "dropped-frames": "keep to the true times; cut windows that hold a long gap",
    "frame-rate": "look whether the video was re-encoded: models see it on its own clock",
    "label-times": "repair the label's times at their source, or leave the recording out",
    "label-rate": "look whether another sensor or another unit of time was used",
    "label-not-finite": "leave the recording out, or cut the windows in which the label is unknown",
    "label-flat": "leave the recording or those moments out: the sensor was off the finger",
    "label-clipped": "do not judge waveforms by it; the heart rate can still be right",
    "label-noisy": "look at the label before training on it, or leave the recording out",
    "label-inverted": "turn the label upside down: blood volume rises upwards",
    "length-mismatch": "compare the ends of video and label: the missing part is left out",
    "count-mismatch": "pair frames and samples by time, and find which of them are missing",
    "lag": "shift the label's times by the opposite amount before training: from about 100 ms on "
    "networks learn badly or not at all",
    "lag-unknown": "none, if the video is hard (motion, dark, compressed); else compare the clocks",
    "clock-drift": "find the true rate of the faster clock and scale its times by it",
    "face-coverage": "look at the video; moments without a face are left out of every window",
    "duplicate": "keep one of the two, or the same person lands on both sides of a split",
    "duplicate-label": "one of the two recordings has another one's label: copy the right one",
    "dead-link": "mount the disk that it leads to, or mend or remove the link",
    "stray": "none, if it is meant to be there; else look whether a recording is misnamed",
    "mixed-settings": "run physkit prep again: it redoes what was prepared by other settings",
    "half-written": "run physkit prep again: it clears away what a killed run left",
    "damaged": "run physkit prep again, or copy the recording anew; remove its folder first where "
    "prep skips it",
    "crashed": "please report it: an audit must survive any file",
}
"""Every check by name, with what to do where it finds something."""


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong."""

    check: str
    """Name in `CHECKS`."""
    severity: Severity
    """How bad it is."""
    message: str
    """What was found, with numbers."""
    measured: Mapping[str, float] = field(default_factory=dict)
    """The numbers behind it, units in their names."""
    recording: str | None = None
    """Recording it was found in; None for the tree or the store as a whole."""

    @property
    def suggestion(self) -> str:
        """What to do about it."""
        return CHECKS[self.check]
