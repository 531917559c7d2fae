"""Reading a stream of crops by a deployed FacePhys, whatever runtime it is for."""

import numpy as np

from physkit.core.errors import InputError
from physkit.models import MODELS
from physkit.pipelines.stream import StretchReader
from physkit.runtime.session import Session


class SessionReader(StretchReader):
    """A session, frame by frame. It is of the form step, and nobody else uses it meanwhile."""

    def __init__(self, session: Session) -> None:
        self.warmup_s = MODELS[session.card.model].warmup_s
        self._session = session

    def check_any_rate(self) -> None:
        """Raises InputError for an artifact that was made for one frame rate."""
        fixed_s = self._session.card.fixed_dt_s
        if fixed_s is not None:
            raise InputError(
                f"{self._session.path}: was made for {fixed_s:.4g} s a frame, and no live clock "
                "is that even; use one of true times"
            )

    def begin(self) -> None:
        self._session.reset()

    def read(self, crops: np.ndarray, dt_s: np.ndarray) -> np.ndarray:
        step = self._session.step
        pulse = [step(crop, float(s)) for crop, s in zip(crops, dt_s, strict=True)]
        return np.array(pulse, np.float32)

    def finish(self) -> np.ndarray:
        return np.zeros(0, np.float32)
