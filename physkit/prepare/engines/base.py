"""What every engine is given."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Crew:
    """Who does the work."""

    workers: int
    """How many recordings are worked on at once."""
    ray_address: str | None = None
    """Ray cluster to join; None starts one of this machine."""
