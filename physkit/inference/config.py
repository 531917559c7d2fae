"""What reading an input is told. Imports nothing heavy."""

from dataclasses import dataclass

from physkit.core.errors import InputError
from physkit.core.registry import unknown_name
from physkit.core.units import MAX_GAP_S
from physkit.face.detect import DETECTORS
from physkit.runtime.engines import ENGINES

VIEWS = ("auto", "terminal", "none")


@dataclass(frozen=True)
class PredictConfig:
    """Reads the pulse from a face video, an image folder, a camera or a crops file."""

    input: str
    """Video file, folder of images, camera:N, or face crops (.npy, .npz)."""
    model: str = "auto"
    """facephys, physnet, green, ica, chrom, pbv, pos, lgi or omit; auto: the model that --weights
    belong to, else facephys."""
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
    detector: str = "auto"
    """haar or blazeface; auto: blazeface where its model file is at hand, else haar."""
    detector_weights: str | None = None
    """Model file of the detector blazeface."""
    fps: float | None = None
    """Frame rate in Hz of an input that has no timestamps."""
    duration_s: float | None = None
    """Stop after so many seconds of input."""
    chunk_frames: int = 64
    """Frames that the model reads at once; changes speed and memory, not the result."""
    threads: int | None = None
    """CPU threads of the model; by default one for an exported file, else half of the cores, since
    decoding needs the others."""
    device: str = "cpu"
    """Torch device: cpu, cuda, cuda:1, ..."""
    plot: str | None = None
    """Draw the waveform and its spectrum into this file (.png, .svg or .pdf)."""

    def __post_init__(self) -> None:
        for option in ("input", "weights", "detector_weights", "plot"):
            if getattr(self, option) == "":
                raise InputError(f"--{option}: empty; leave it out or give a file")
        if self.detector != "auto" and self.detector not in DETECTORS:
            raise unknown_name("detector", self.detector, DETECTORS)
        if self.runtime != "auto" and self.runtime not in ENGINES:
            raise unknown_name("runtime", self.runtime, ("auto", *ENGINES))
        if self.view not in VIEWS:
            raise unknown_name("view", self.view, VIEWS)
        if not 0 < self.late_s <= MAX_GAP_S:
            raise InputError(
                f"--late_s {self.late_s}: must be above 0 and at most {MAX_GAP_S} s, after which "
                "a gap makes the model start anew"
            )
        if self.chunk_frames < 1:
            raise InputError(f"--chunk_frames {self.chunk_frames}: must be at least 1")
        if self.threads is not None and self.threads < 1:
            raise InputError(f"--threads {self.threads}: must be at least 1")
        if self.duration_s is not None and not self.duration_s > 0:
            raise InputError(f"--duration_s {self.duration_s}: must be above 0 s")

    @property
    def is_live(self) -> bool:
        """Whether frames come in real time."""
        return self.live or self.input.startswith("camera:")
