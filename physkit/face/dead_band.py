"""A dead band for the face box: small movements of the detections do not move it."""

from dataclasses import dataclass

from physkit.face.box import Box, box_at


@dataclass(frozen=True)
class DeadBand:
    """How far a detection may lie from the held box before that box moves."""

    position_band: float = 0.08
    """Largest distance between the centres that moves nothing, in widths of the face."""
    size_band: float = 0.10
    """Largest difference in size that changes nothing, as a share."""

    def moved(self, held: Box, seen: Box) -> Box:
        """The held box, moved no further than it takes for the seen one to be in the dead band."""
        slack = self.position_band * held.width
        centre_x = min(max(held.centre_x, seen.centre_x - slack), seen.centre_x + slack)
        centre_y = min(max(held.centre_y, seen.centre_y - slack), seen.centre_y + slack)
        low, high = 1 / (1 + self.size_band), 1 + self.size_band
        width = min(max(held.width, seen.width * low), seen.width * high)
        height = min(max(held.height, seen.height * low), seen.height * high)
        return box_at(centre_x, centre_y, width, height)
