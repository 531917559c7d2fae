"""`physkit features`: what the frozen part of a network says of a store, kept in that store."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from physkit.core.config import Names
from physkit.core.errors import InputError
from physkit.models.physllm.config import PhysLLMConfig
from physkit.nn.config import ModelConfig
from physkit.runtime.config import ComputeConfig

if TYPE_CHECKING:
    import numpy as np

    from physkit.data.store import StoredRecording
    from physkit.nn.streaming import PulseModel

CHUNK_ROWS = 512


@dataclass(frozen=True)
class FeaturesConfig:
    """Computes what the frozen part of a network says of each clip, so that training need not."""

    data: str
    """Store that physkit prep wrote; the features become a part of it."""
    model: ModelConfig = field(default_factory=PhysLLMConfig)
    """Network as it will be trained: a piece of configs/model, or the class of its config."""
    subjects: Names | None = None
    """Only these people of the store, as in [a,b]; by default all."""
    compute: ComputeConfig = field(default_factory=ComputeConfig)
    """What the frozen part runs on."""


@dataclass(frozen=True)
class FeaturesResult:
    """What a store holds now."""

    name: str
    """Name of the features: it changes with the frozen weights and the sizes."""
    made: tuple[str, ...]
    """Recordings that they were computed of."""
    kept: int
    """Recordings that had them."""
    left_out: tuple[str, ...]
    """Recordings that could not be read, with the cause."""

    @property
    def exit_status(self) -> int:
        """0 only when every recording could be read."""
        return 1 if self.left_out else 0

    def to_dict(self) -> dict[str, Any]:
        """A JSON object with these names."""
        return {
            "name": self.name,
            "made": list(self.made),
            "kept": self.kept,
            "left_out": list(self.left_out),
        }

    def lines(self) -> list[str]:
        """The outcome as a person reads it in a terminal."""
        return [
            f"{self.name}: made for {len(self.made)} recordings, {self.kept} had them",
            *(f"left out: {cause}" for cause in self.left_out),
        ]


def run(config: FeaturesConfig, *, progress: bool = False) -> FeaturesResult:
    """Do what `physkit features` does; a run that was killed goes on where it was.

    Raises InputError for a network that reads no such features, or a store that cannot be written.
    """
    import torch

    from physkit.core.causes import cause_of
    from physkit.core.progress import ProgressBar
    from physkit.data.store import open_store, store_path
    from physkit.data.store_writer import writing
    from physkit.inference.inference import usable_device
    from physkit.inference.recordings import readable_recordings
    from physkit.models import MODELS
    from physkit.runtime.torch_cpu import flushed_denormals, torch_threads
    from physkit.weights.load import make_network

    light = MODELS[config.model.model].for_features(config.model)
    if light is None:
        raise InputError(
            f"--model {config.model.model}: reads no features of a frozen part, or was told "
            "caches false; give the config of one that does, such as configs/model/physllm.yaml"
        )
    device = usable_device(config.compute.device)
    net = make_network(light).eval().to(device)
    name = net.extras[0]
    recordings, damaged = readable_recordings(open_store(config.data), config.subjects)
    left_out = [f"{name}: {cause}" for name, cause in damaged]
    made: list[str] = []
    kept = 0
    total = sum(recording.n_frames for recording in recordings)
    with (
        writing(store_path(config.data)),
        torch_threads(config.compute.threads),
        flushed_denormals(),
        ProgressBar(total=total, unit="frame", shown=progress) as bar,
        torch.inference_mode(),
    ):
        for recording in recordings:
            try:
                if recording.has_whole_feature(name):
                    kept += 1
                else:
                    _keep(config.data, recording, name, _rows(recording, net, device))
                    made.append(recording.name)
            except Exception as error:  # noqa: BLE001 (told as left out: the others must go on)
                left_out.append(f"{recording.name}: {cause_of(error)}")
            bar.update(recording.n_frames)
    return FeaturesResult(name, tuple(made), kept, tuple(left_out))


def _rows(recording: "StoredRecording", net: "PulseModel[Any]", device: Any) -> "np.ndarray":
    """A row for each frame; NaN where no whole clip of one face lies."""
    import numpy as np
    import torch

    from physkit.train.clips import as_input

    rows: np.ndarray | None = None
    length, step = net.clip_frames, net.grid_frames
    assert length is not None
    assert step is not None
    for start in _clips(recording, length, step):
        frames = torch.from_numpy(recording.frames(start, start + length))[None].to(device)
        found = net.clip_features(as_input(frames, net.crop_size))[0].cpu().numpy()
        width = found.shape[1]
        if rows is None:
            shape = recording.n_frames, length // step * width
            rows = np.full(shape, np.nan, np.float32)
        column = start % length // step * width
        rows[start : start + length, column : column + width] = found
    if rows is None:
        raise InputError(
            f"{recording.place}: no {length} frames in a row that show a face; leave it out"
        )
    return rows


def _clips(recording: "StoredRecording", length: int, step: int) -> Iterator[int]:
    """First frames of the clips, `step` apart, that show one face without gaps."""
    import numpy as np

    from physkit.core.units import MAX_GAP_S
    from physkit.data.store import NO_SEGMENT

    segments, times_s = recording.segments, recording.timestamps_s
    for start in range(0, recording.n_frames - length + 1, step):
        part = slice(start, start + length)
        is_one = (segments[part] == segments[start]).all() and segments[start] != NO_SEGMENT
        if is_one and np.diff(times_s[part]).max() <= MAX_GAP_S:
            yield start


def _keep(store: str, recording: "StoredRecording", name: str, rows: "np.ndarray") -> None:
    """Writes the rows beside the recording's frames; what is unfinished counts as missing."""
    import zarr

    from physkit.data.store import FEATURES, VALUES, store_path, zarr_store

    group = zarr.open_group(
        zarr_store(store_path(store), read_only=False), mode="r+", zarr_format=3
    )
    array = group.create_array(
        f"{recording.name}/{FEATURES}/{name}/{VALUES}",
        shape=rows.shape,
        chunks=(CHUNK_ROWS, rows.shape[1]),
        dtype=rows.dtype,
        fill_value=0,
        config={"write_empty_chunks": True},
        overwrite=True,
    )
    array[:] = rows
