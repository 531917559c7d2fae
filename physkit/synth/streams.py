"""One stream of random numbers for each cause, all from one seed."""

import numpy as np


class Streams:
    """Random streams by name: draws of one cause do not change the numbers of another."""

    def __init__(self, *key: int) -> None:
        self.key = key

    def of(self, cause: str) -> np.random.Generator:
        """The stream of one cause, from its beginning."""
        return np.random.default_rng([*self.key, *cause.encode()])
