"""Order among names that hold numbers."""

import re


def natural_order(name: str) -> tuple[list[tuple[int, str]], str]:
    """Sorting key by which frame_2 comes before frame_10."""
    parts = re.split(r"(\d+)", name)
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts], name
