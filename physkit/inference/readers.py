"""Which model reads a pulse, and what runs it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from physkit.core.errors import InputError
from physkit.inference.even import make_reader
from physkit.inference.gates import quality_gate
from physkit.inference.inference import choose_weights, crop_size_px, square_px, usable_device
from physkit.inference.stream import StretchReader
from physkit.models import MODELS, deployable
from physkit.runtime.engines import BY_SUFFIX
from physkit.runtime.session import Session
from physkit.signal.reading import QualityGate
from physkit.weights.load import load_model


class SessionReader(StretchReader):
    """A session, frame by frame. It is of the form step, and nobody else uses it meanwhile."""

    def __init__(self, session: Session) -> None:
        self.warmup_s = MODELS[session.card.model].warmup_s
        self._session = session

    def begin(self) -> None:
        self._session.reset()

    def read(self, crops: np.ndarray, dt_s: np.ndarray) -> np.ndarray:
        step = self._session.step
        pulse = [step(crop, float(s)) for crop, s in zip(crops, dt_s, strict=True)]
        return np.array(pulse, np.float32)

    def finish(self) -> np.ndarray:
        return np.zeros(0, np.float32)


@dataclass(frozen=True, eq=False)
class Choice:
    """What reads the pulse."""

    model: str
    """Name in MODELS."""
    runtime: str
    """Name in ENGINES."""
    reader: StretchReader
    """The model, ready."""
    size_px: int
    """Side of the crops it reads."""
    notes: tuple[str, ...]
    """What to tell the user of a choice made for them."""
    gate: QualityGate
    """The signal quality that its heart rate needs."""


def choose_reader(
    model: str,
    weights: str | None,
    runtime: str,
    *,
    threads: int | None,
    device: str,
    frame_by_frame: bool,
) -> Choice:
    """What reads a pulse.

    model: a name in MODELS, or auto. weights: weights, an exported file, or None.
    runtime: a name in ENGINES; auto goes by the file. threads: of an exported file; None is one.
    frame_by_frame: every frame is to be answered when it comes, so nothing is gained by chunks.
    Raises PhyskitError where these do not go together or cannot be used.
    """
    made_for = BY_SUFFIX.get(Path(weights).suffix, "torch") if weights else "torch"
    runtime = made_for if runtime == "auto" else runtime
    is_exported, runs_exported = made_for != "torch", not runtime.startswith("torch")
    if is_exported and runtime != made_for:
        raise InputError(f"{weights}: runs by {made_for}, not by {runtime}; leave --runtime out")
    if runs_exported and not is_exported:
        suffix = next(suffix for suffix, name in BY_SUFFIX.items() if name == runtime)
        raise InputError(
            f"--runtime {runtime}: runs an exported file; make one by physkit export, and give "
            f"--weights FILE{suffix}"
        )
    if is_exported and weights:
        session = Session(weights, runtime=runtime, threads=threads or 1, device=device)
        choice = _of_session(model, session, ())
        if frame_by_frame:
            _check_any_rate(session)
        return choice
    name, path, notes = choose_weights(model, weights)
    has_step = MODELS[name].deployed is not None and path is not None
    if runtime == "torch" and not (has_step and frame_by_frame):
        net = load_model(name, path)
        reader = make_reader(net, usable_device(device))
        gate = quality_gate(name, path)
        return Choice(name, runtime, reader, crop_size_px(net), notes, gate)
    if path is None or not has_step:
        known = " and ".join(deployable())
        raise InputError(f"--runtime {runtime}: runs {known}, not {name}; leave --runtime out")
    session = Session(path, runtime=runtime, threads=threads or 1, device=device)
    return _of_session(name, session, notes)


def _check_any_rate(session: Session) -> None:
    """Raises InputError for an artifact that was made for one frame rate."""
    fixed_s = session.card.fixed_dt_s
    if fixed_s is not None:
        raise InputError(
            f"{session.path}: was made for {fixed_s:.4g} s a frame, and no live clock is that "
            "even; use one of true times"
        )


def _of_session(model: str, session: Session, notes: tuple[str, ...]) -> Choice:
    path, card = session.path, session.card
    if model not in ("auto", card.model):
        raise InputError(f"{path}: holds a {card.model}, not a {model}; leave --model out")
    if card.n_frames != 1:
        raise InputError(
            f"{path}: takes {card.n_frames} frames at once; give the artifact of the form step"
        )
    size_px = square_px(card.model, height=card.height, width=card.width)
    gate = quality_gate(card.model, Path(path))
    return Choice(card.model, session.runtime, SessionReader(session), size_px, notes, gate)
