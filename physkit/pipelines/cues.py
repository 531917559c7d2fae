"""`physkit cues`: texts on the faces of a store, for the vision cue of a PhysLLM."""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from physkit.core.config import Names
from physkit.core.errors import InputError
from physkit.runtime.config import ComputeConfig

if TYPE_CHECKING:
    import numpy as np

    from physkit.data.store import StoredRecording

MEASURED = "measured"


@dataclass(frozen=True)
class CuesCommandConfig:
    """Writes what a vision-language model says of the faces of a store, or what can be measured in
    them: a JSON object a line, for model.cues.file. A run that was killed goes on where it was."""

    data: str
    """Store that physkit prep wrote."""
    out: str = "cues.jsonl"
    """File to write, .jsonl; what it holds is kept, and texts of further stores are added."""
    source: Literal["llava", "measured"] = "llava"
    """llava: ask a vision-language model; measured: measure brightness, skin tone and motion."""
    model: str = "llava-hf/llava-1.5-7b-hf"
    """Vision-language model of the LLaVA family: name on the model hub, or a local folder."""
    revision: str | None = None
    """Branch, tag or commit on the model hub; null: the newest."""
    dtype: Literal["bfloat16", "float32"] = "bfloat16"
    """Type in which its weights are held."""
    per: Literal["recording", "clip"] = "recording"
    """One text for each recording, or for each clip of it, as the release has it."""
    clip_frames: int = 128
    """Frames of a clip; of a recording as a whole, the frames in its middle that are measured."""
    grid: int = 2
    """Rows and columns of frames that the model is shown, evenly over the recording or clip."""
    most_tokens: int = 160
    """Longest answer, in tokens."""
    batch: int = 4
    """Questions asked at a time."""
    subjects: Names | None = None
    """Only these people of the store, as in [a,b]; by default all."""
    compute: ComputeConfig = field(default_factory=ComputeConfig)
    """What the model runs on."""

    def __post_init__(self) -> None:
        least = {"clip_frames": 2, "grid": 1, "most_tokens": 1, "batch": 1}
        for name, smallest in least.items():
            if getattr(self, name) < smallest:
                raise InputError(f"--{name} {getattr(self, name)}: must be at least {smallest}")


@dataclass(frozen=True)
class CuesResult:
    """What a cue file holds now."""

    path: str
    """The file."""
    made: int
    """Texts that were made."""
    kept: int
    """Texts of this store that it held."""
    left_out: tuple[str, ...]
    """Recordings that have no text, with the cause."""

    @property
    def exit_status(self) -> int:
        """0 only when every recording has its text."""
        return 1 if self.left_out else 0

    def to_dict(self) -> dict[str, Any]:
        """A JSON object with these names."""
        return {**vars(self), "left_out": list(self.left_out)}

    def lines(self) -> list[str]:
        """The outcome as a person reads it in a terminal."""
        return [
            f"{self.path}: {self.made} texts made, {self.kept} kept",
            *(f"left out: {cause}" for cause in self.left_out),
        ]


@dataclass(frozen=True)
class CuePlace:
    """A stretch of a recording that gets a text."""

    recording: "StoredRecording"
    """The recording."""
    first: int
    """Frame from which on the text holds."""
    seen: "np.ndarray"
    """Frames of it with a face, in order."""

    @property
    def key(self) -> tuple[str, int]:
        """Data set and recording, and the first frame."""
        return f"{self.recording.dataset}/{self.recording.name}", self.first


Describe = Callable[[Sequence[CuePlace]], list[tuple[str, list[float]]]]
"""Texts of places, and the times of the frames that were looked at."""


def run(config: CuesCommandConfig, *, progress: bool = False) -> CuesResult:
    """Do what `physkit cues` does.

    Raises InputError for a store, a model or a file that cannot be used, and for a file of another
    model, prompt or source.
    """
    from physkit.core.progress import ProgressBar
    from physkit.data.store import open_store
    from physkit.inference.recordings import readable_recordings
    from physkit.models.physllm.llava import PROMPT

    recordings, damaged = readable_recordings(open_store(config.data), config.subjects)
    left_out = [f"{name}: {cause}" for name, cause in damaged]
    places: list[CuePlace] = []
    for recording in recordings:
        try:
            found = list(_places(recording, config))
        except InputError as error:
            left_out.append(str(error))
            continue
        if not found:
            left_out.append(f"{recording.place}: shows no face; prepare it anew, or leave it out")
        places += found
    prompt = PROMPT.format(n=config.grid**2)
    is_measured = config.source == MEASURED
    describe, revision = (_measured(config), None) if is_measured else _by_model(config, prompt)
    made_by = {
        "model": None if is_measured else config.model,
        "revision": revision,
        "prompt": _checksum(config, prompt),
        "source": config.source,
    }
    batches = [places[at : at + config.batch] for at in range(0, len(places), config.batch)]
    out = Path(config.out)
    done = _kept(out, batches, made_by)
    made = 0
    with ProgressBar(total=len(places), unit="text", shown=progress, initial=len(done)) as bar:
        for batch in batches:
            if all(place.key in done for place in batch):
                continue
            lines = [
                {"recording": place.key[0], "frame": place.first, "text": text, **made_by}
                | {"times_s": times_s}
                for place, (text, times_s) in zip(batch, describe(batch), strict=True)
            ]
            _append(out, lines)
            made += len(batch)
            bar.update(len(batch))
    return CuesResult(str(out), made, len(done), tuple(left_out))


def _places(recording: "StoredRecording", config: CuesCommandConfig) -> Iterator[CuePlace]:
    """Where a recording gets texts: stretches with a face."""
    import numpy as np

    from physkit.data.store import NO_SEGMENT

    seen = np.flatnonzero(recording.segments != NO_SEGMENT)
    n = recording.n_frames
    step = n if config.per == "recording" else config.clip_frames
    for first in range(0, n, max(step, 1)):
        inside = seen[(seen >= first) & (seen < first + step)]
        if len(inside):
            yield CuePlace(recording, first, inside)


def _measured(config: CuesCommandConfig) -> Describe:
    """By measurements of the frames in the middle of each place."""
    from physkit.models.physllm.measured import measured_cue

    def describe(places: Sequence[CuePlace]) -> list[tuple[str, list[float]]]:
        found = []
        for place in places:
            before = max(len(place.seen) - config.clip_frames, 0) // 2
            shown = place.seen[before : before + config.clip_frames]
            frames = place.recording.frames(int(shown[0]), int(shown[-1]) + 1)[shown - shown[0]]
            times_s = place.recording.timestamps_s[shown[[0, -1]]]
            found.append((measured_cue(frames), times_s.tolist()))
        return found

    return describe


def _by_model(config: CuesCommandConfig, prompt: str) -> tuple[Describe, str | None]:
    """By a vision-language model, and its revision."""
    import numpy as np

    from physkit.inference.inference import usable_device
    from physkit.models.physllm.llava import Describer, tiled

    model = Describer.load(
        config.model,
        revision=config.revision,
        dtype=config.dtype,
        device=usable_device(config.compute.device),
    )

    def describe(places: Sequence[CuePlace]) -> list[tuple[str, list[float]]]:
        pictures, times = [], []
        for place in places:
            at = np.linspace(0, len(place.seen) - 1, config.grid**2).round().astype(int)
            shown = place.seen[at]
            frames = [place.recording.frames(int(i), int(i) + 1)[0] for i in shown]
            pictures.append(tiled(np.stack(frames), config.grid))
            times.append(place.recording.timestamps_s[shown].tolist())
        texts = model.describe(pictures, prompt, most_tokens=config.most_tokens)
        return list(zip(texts, times, strict=True))

    return describe, model.revision or config.revision


def _checksum(config: CuesCommandConfig, prompt: str) -> str:
    """Of what was asked, and of what."""
    asked: list[Any] = [config.per, config.clip_frames]
    if config.source != MEASURED:
        asked += [prompt, config.most_tokens]
    return hashlib.sha256(json.dumps(asked).encode()).hexdigest()[:16]


def _kept(
    out: Path, batches: Sequence[Sequence[CuePlace]], made_by: dict[str, Any]
) -> set[tuple[str, int]]:
    """Texts that the file has of whole batches; those of a batch that was cut off are dropped.

    So a batch is always asked whole, and a run that was killed writes what it would have written.
    """
    from physkit.core.files import whole_file

    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        content = out.read_text("utf-8") if out.exists() else ""
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{out}: cannot be used ({error}); choose another --out") from error
    whole = content[: content.rfind("\n") + 1]  # a kill may leave half a line
    lines = {
        _key(out, number, line, made_by): line
        for number, line in enumerate(whole.split("\n"), 1)
        if line
    }
    done: set[tuple[str, int]] = set()
    for batch in batches:
        keys = {place.key for place in batch}
        if keys <= lines.keys():
            done |= keys
        else:
            lines = {key: line for key, line in lines.items() if key not in keys}
    kept = "".join(f"{line}\n" for line in lines.values())
    if kept != content:
        with whole_file(out) as unfinished:
            unfinished.write_text(kept, "utf-8")
    return done


def _key(out: Path, number: int, line: str, made_by: dict[str, Any]) -> tuple[str, int]:
    """What a line is of. Raises InputError where it was made otherwise."""
    try:
        one = json.loads(line)
        key = (str(one["recording"]), int(one["frame"]))
        changed = [name for name, value in made_by.items() if one[name] != value]
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{out}, line {number}: not as physkit cues writes it ({error}); choose another --out"
        ) from error
    if changed:
        raise InputError(
            f"{out}: made with another {changed[0]} ({one[changed[0]]}, not "
            f"{made_by[changed[0]]}); choose another --out"
        )
    return key


def _append(out: Path, lines: Sequence[dict[str, Any]]) -> None:
    try:
        with out.open("a", encoding="utf-8") as file:
            file.write("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))
    except OSError as error:
        raise InputError(f"{out}: cannot be written ({error}); choose another --out") from error
