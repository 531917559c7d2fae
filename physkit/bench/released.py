"""The published FacePhys files as one-frame runtimes, called the way their users call them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from jaxtyping import Float

from physkit.bench.lap import SECONDS_A_FRAME
from physkit.core.errors import InputError, MissingExtraError
from physkit.weights.released import arrays_from_state, read_state

Clip = Float[np.ndarray, "t h w 3"]


def released_onnx(folder: Path, clip: Clip, threads: int) -> Callable[[], None]:
    """One pass of `model.onnx` over `clip` in ONNX Runtime, its states fed back every frame.

    Raises InputError for a file that is missing or not such a model, MissingExtraError without
    ONNX Runtime.
    """
    try:
        import onnxruntime
        from onnxruntime.capi.onnxruntime_pybind11_state import Fail, InvalidProtobuf
    except ModuleNotFoundError as error:
        raise missing_extra(error, "onnx") from error
    path = _existing(folder / "model.onnx")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    try:
        session = onnxruntime.InferenceSession(str(path), options, ["CPUExecutionProvider"])
    except (Fail, InvalidProtobuf) as error:
        raise InputError(f"{path}: not an ONNX model; download it again") from error
    names = [entry.name for entry in session.get_inputs()]
    dt_s = np.full(1, SECONDS_A_FRAME, dtype=np.float32)
    first_states = arrays_from_state(read_state(folder / "state.gz"))
    _check_shapes(path, [entry.shape for entry in session.get_inputs()], clip, first_states)

    def run() -> None:
        states = first_states
        for frame in clip:
            inputs = [frame[None, None], dt_s, *states]
            _, *states = session.run(None, dict(zip(names, inputs, strict=True)))

    return run


def released_litert(folder: Path, clip: Clip, threads: int) -> Callable[[], None]:
    """One pass of `model.tflite` over `clip` in LiteRT, its states fed back every frame.

    Raises InputError for a file that is missing or not such a model, MissingExtraError without
    LiteRT.
    """
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ModuleNotFoundError as error:
        raise missing_extra(error, "litert") from error
    path = _existing(folder / "model.tflite")
    try:
        interpreter = Interpreter(str(path), num_threads=threads)
    except ValueError as error:
        raise InputError(f"{path}: not a LiteRT model; download it again") from error
    interpreter.allocate_tensors()
    inputs = [entry["index"] for entry in interpreter.get_input_details()]
    outputs = [entry["index"] for entry in interpreter.get_output_details()]
    dt_s = np.full(1, SECONDS_A_FRAME, dtype=np.float32)
    first_states = arrays_from_state(read_state(folder / "state.gz"))
    shapes = [entry["shape"].tolist() for entry in interpreter.get_input_details()]
    _check_shapes(path, shapes, clip, first_states)

    def run() -> None:
        states = first_states
        for frame in clip:
            for index, value in zip(inputs, [frame[None, None], dt_s, *states], strict=True):
                interpreter.set_tensor(index, value)
            interpreter.invoke()
            _, *states = [interpreter.get_tensor(index) for index in outputs]

    return run


def _check_shapes(path: Path, found: list[list[int]], clip: Clip, states: list[np.ndarray]) -> None:
    """Raises InputError unless the model takes a frame, dt and the published states."""
    expected = [[1, 1, *clip.shape[1:]], [1], *(list(state.shape) for state in states)]
    if found != expected:
        raise InputError(
            f"{path}: takes {len(found)} inputs, not the frame, dt and {len(states)} states of the "
            "published step; give the folder of FacePhys-Release"
        )


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise InputError(f"{path}: no such file; give the folder of FacePhys-Release")
    return path


def missing_extra(error: ModuleNotFoundError, extra: str) -> MissingExtraError:
    """What a row says that cannot run for want of a package."""
    return MissingExtraError(f"needs the package '{error.name}': pip install 'physkit[{extra}]'")
