"""What a model runs on: the block `compute` of every command that runs one."""

from dataclasses import dataclass

from physkit.core.errors import InputError


@dataclass(frozen=True)
class ComputeConfig:
    """Device, threads and chunks: they change speed and memory, not the result."""

    device: str = "cpu"
    """Torch device: cpu, cuda, cuda:1, ..."""
    threads: int | None = None
    """CPU threads of the model; by default one for an exported file, else half of the cores, since
    reading frames needs the others."""
    chunk_frames: int = 128
    """Frames that the model reads at once."""

    def __post_init__(self) -> None:
        if self.chunk_frames < 1:
            raise InputError(f"--compute.chunk_frames {self.chunk_frames}: must be at least 1")
        if self.threads is not None and self.threads < 1:
            raise InputError(f"--compute.threads {self.threads}: must be at least 1")
