"""What reading an input is told. Imports nothing heavy."""

from dataclasses import dataclass, field

from physkit.core.errors import InputError
from physkit.core.registry import unknown_name
from physkit.core.units import MAX_GAP_S
from physkit.face.config import FaceConfig
from physkit.runtime.config import ComputeConfig
from physkit.runtime.engines import ENGINES

VIEWS = ("auto", "terminal", "none")


@dataclass(frozen=True)
class PredictConfig:
    """Reads the pulse from a face video, an image folder, a camera or a crops file."""

    input: str
    """Video file, folder of images, camera:N, or face crops (.npy, .npz)."""
    model: str = "auto"
    """Model: {registry model}; auto: the one that --weights belong to, else facephys."""
    weights: str | None = None
    """Weights file of the model: .safetensors, or as released: FacePhys.weights.h5, or a PhysNet
    .pth of rPPG-Toolbox. Or a file of physkit export: .onnx, .tflite or .jax."""
    runtime: str = "auto"
    """What runs the model: onnx, litert or jax for an exported file, else torch or torch-compiled;
    auto: by the suffix of --weights, without them torch."""
    live: bool = False
    """Play the file in real time, as if a camera took it: late frames are dropped, and Ctrl-C ends
    it with what was measured so far. A camera is always live."""
    view: str = "auto"
    """Live view of waveform, heart rate, signal quality and latency: terminal (on standard error)
    or none; auto: terminal where there is one."""
    late_s: float = 0.15
    """Live: once a frame waits that was taken longer ago, in seconds, all but the newest waiting
    are dropped. More makes fewer but longer gaps, and a pulse suffers more from those."""
    face: FaceConfig = field(default_factory=FaceConfig)
    """How faces are found."""
    fps: float | None = None
    """Frame rate in Hz of an input without times: numbered images, bare streams, crops alone. Where
    there are times, they are used, and a warning says so."""
    duration_s: float | None = None
    """Stop after so many seconds of input."""
    compute: ComputeConfig = field(default_factory=lambda: ComputeConfig(chunk_frames=64))
    """What the model runs on."""
    plot: str | None = None
    """Draw the waveform and its spectrum into this file (.png, .svg or .pdf)."""

    def __post_init__(self) -> None:
        for option in ("input", "weights", "plot"):
            if getattr(self, option) == "":
                raise InputError(f"--{option}: empty; leave it out or give a file")
        if self.runtime != "auto" and self.runtime not in ENGINES:
            raise unknown_name("runtime", self.runtime, ("auto", *ENGINES))
        if self.view not in VIEWS:
            raise unknown_name("view", self.view, VIEWS)
        if not 0 < self.late_s <= MAX_GAP_S:
            raise InputError(
                f"--late_s {self.late_s}: must be above 0 and at most {MAX_GAP_S} s, after which "
                "a gap makes the model start anew"
            )
        if self.duration_s is not None and not self.duration_s > 0:
            raise InputError(f"--duration_s {self.duration_s}: must be above 0 s")

    @property
    def is_live(self) -> bool:
        """Whether frames come in real time."""
        return self.live or self.input.startswith("camera:")
