"""Files of texts on recordings, as `physkit cues` writes them: a JSON object a line."""

import json
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from physkit.core.errors import InputError

MADE_BY = ("model", "revision", "prompt", "source")
"""What must be the same in all lines: otherwise texts would tell which run they are of."""


@dataclass(frozen=True)
class CueFile:
    """The texts of a file, by recording and the frame from which on each holds."""

    path: Path
    """The file."""
    made_by: Mapping[str, str | None]
    """Model, revision, checksum of the prompt, and source: a vision-language model or measured."""
    texts: Mapping[str, Sequence[tuple[int, str]]]
    """By data set and recording: first frame and text, in order."""

    @classmethod
    def read(cls, path: str | Path) -> "CueFile":
        """Raises InputError, naming the line, for a file that `physkit cues` did not write."""
        path = Path(path)
        texts: dict[str, list[tuple[int, str]]] = {}
        made_by: dict[str, str | None] | None = None
        try:
            lines = path.read_text("utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(
                f"{path}: cannot be read ({error}); make it by physkit cues STORE --out {path}"
            ) from error
        for number, line in enumerate(lines, 1):
            try:
                one = json.loads(line)
                name, text = str(one["recording"]), str(one["text"])
                first = int(one.get("frame") or 0)
                by = {key: one.get(key) for key in MADE_BY}
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise InputError(
                    f"{path}, line {number}: not as physkit cues writes it ({error}); make the "
                    "file anew"
                ) from error
            if made_by is not None and by != made_by:
                changed = next(key for key in MADE_BY if by[key] != made_by[key])
                raise InputError(
                    f"{path}, line {number}: {changed} {by[changed]}, and {made_by[changed]} "
                    "before; a file holds the texts of one model and one prompt: make it anew"
                )
            made_by = by
            texts.setdefault(name, []).append((first, text))
        if made_by is None:
            raise InputError(f"{path}: holds no texts; make it by physkit cues")
        return cls(path, made_by, {name: sorted(each) for name, each in texts.items()})

    def text(self, recording: str, *, frame: int, wrong: bool = False) -> str:
        """The text on a recording, named with its data set, at a frame of it.

        wrong: that of the next recording in the file, as a control. Raises InputError, with the
        fix, for a recording that the file lacks.
        """
        if recording not in self.texts:
            raise InputError(
                f"{self.path}: has no text on {recording}; complete it by physkit cues with its "
                f"store and --out {self.path}"
            )
        if wrong:
            names = list(self.texts)
            recording = names[(names.index(recording) + 1) % len(names)]
        texts = self.texts[recording]
        place = bisect_right(texts, frame, key=lambda entry: entry[0]) - 1
        return texts[max(place, 0)][1]
