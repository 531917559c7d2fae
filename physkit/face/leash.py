"""Keeping a box still while a face only trembles."""

from dataclasses import dataclass

from physkit.face.box import Box, box_at


@dataclass(frozen=True)
class Leash:
    """How far a detection may lie off before the box that is held follows it."""

    position_band: float = 0.08
    """Face widths by which it may lie off before the box moves."""
    size_band: float = 0.10
    """Share by which it may differ in size before the box grows or shrinks."""

    def pull(self, held: Box, seen: Box) -> Box:
        """The box nearest to the held one from which the seen one is within the dead bands."""
        slack = self.position_band * held.width
        centre_x = min(max(held.centre_x, seen.centre_x - slack), seen.centre_x + slack)
        centre_y = min(max(held.centre_y, seen.centre_y - slack), seen.centre_y + slack)
        low, high = 1 / (1 + self.size_band), 1 + self.size_band
        width = min(max(held.width, seen.width * low), seen.width * high)
        height = min(max(held.height, seen.height * low), seen.height * high)
        return box_at(centre_x, centre_y, width, height)
