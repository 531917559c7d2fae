"""Reading a stream of crops by a deployed FacePhys, whatever runtime it is for."""

import numpy as np

from physkit.models import MODELS
from physkit.pipelines.stream import StretchReader
from physkit.runtime.session import Session


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
