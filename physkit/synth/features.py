"""Parts of a face: eyes, brows, nose, mouth, glasses and beard."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from physkit.synth.canvas import Canvas, Colour, grain, smoothstep

EYES = ((-0.78, -0.42), (0.78, 0.10))
"""Corners of the part that blinking changes, in face units."""
MOUTH = ((-0.66, 0.46), (0.66, 1.14))
"""Corners of the part that talking changes."""


@dataclass(frozen=True)
class Traits:
    """By how much a person differs from the mean face; lengths relative to the mean ones."""

    eye_distance: float = 1.0
    """Distance of the eyes."""
    eye_size: float = 1.0
    """Size of the eyes."""
    brow_rise: float = 0.0
    """How much higher the brows are, in face units."""
    brow_weight: float = 1.0
    """Thickness of the brows."""
    nose_width: float = 1.0
    """Width of the nose."""
    mouth_width: float = 1.0
    """Width of the mouth."""
    lip_fullness: float = 1.0
    """Height of the lips."""
    jaw_width: float = 1.0
    """Width of the lower face."""
    face_height: float = 1.0
    """Height of the face."""
    hairline: float = 0.0
    """How much lower the hair begins, in face units."""
    parting: float = 0.03
    """Where the hair parts, from the middle, in face units."""


def draw_eye(
    canvas: Canvas, side: int, *, iris: Colour, lid: Colour, traits: Traits, is_open: bool
) -> None:
    """Socket, almond, iris, pupil, catch light, lids and lashes of one eye, or a closed lid."""
    x, y, size = side * 0.40 * traits.eye_distance, -0.17, traits.eye_size
    canvas = canvas.part((x - 0.8, y - 0.55), (x + 0.8, y + 0.4))
    canvas.shade(canvas.glow((x - side * 0.06, y - 0.05), (0.22, 0.13)), 0.72)
    canvas.shade(canvas.glow((x, y + 0.15), (0.17, 0.04)), 0.90)
    u = (canvas.x - x) / (0.205 * size)
    arc = np.clip(1.0 - u * u, 0.0, 1.0)
    upper, lower = y - 0.085 * size * arc**0.8, y + 0.065 * size * arc
    between = smoothstep(np.minimum(canvas.y - upper, lower - canvas.y), 0.0, 0.016)
    between *= np.abs(u) < 1.0
    on_eye = np.abs(u) < 1.04
    if is_open:
        _draw_eyeball(canvas, (x, y), between, upper, size=size, iris=iris)
        lashes_y = upper - 0.008
    else:
        canvas.paint(between, lid)
        canvas.shade(between, 0.86)
        lashes_y = lower - 0.004
    lashes = np.exp(-0.5 * ((canvas.y - lashes_y) / 0.013) ** 2) * on_eye
    canvas.paint(0.9 * lashes, (0.07, 0.05, 0.04))
    canvas.shade(np.exp(-0.5 * ((canvas.y - upper + 0.07) / 0.012) ** 2) * on_eye, 0.78)
    canvas.shade(np.exp(-0.5 * ((canvas.y - lower) / 0.010) ** 2) * on_eye, 0.72)


def _draw_eyeball(
    canvas: Canvas,
    centre: tuple[float, float],
    between: Float[np.ndarray, "h w"],
    upper: Float[np.ndarray, "1 w"],
    *,
    size: float,
    iris: Colour,
) -> None:
    """White, iris, pupil and catch light between the lids."""
    x, y = centre
    canvas.paint(between, (0.80, 0.77, 0.74))
    canvas.shade(between * smoothstep(canvas.y - upper, 0.07, 0.0), 0.6)

    def disc(radius: float, soft: float) -> Float[np.ndarray, "h w"]:
        spot = canvas.ellipse((x, y - 0.012), (radius * size, radius * size), soft=soft)
        return np.asarray(between * spot)

    canvas.paint(disc(0.088, 0.015), (iris[0] * 0.4, iris[1] * 0.4, iris[2] * 0.4))
    canvas.paint(disc(0.074, 0.03), iris)
    canvas.paint(disc(0.036, 0.03), (0.03, 0.02, 0.02))
    canvas.paint(between * canvas.ellipse((x - 0.03, y - 0.04), (0.018, 0.018)), (1.0, 1.0, 1.0))


def draw_brow(
    canvas: Canvas, side: int, *, hair: Colour, traits: Traits, rng: np.random.Generator
) -> None:
    """A tapering arch of hair."""
    canvas = canvas.part((-0.85, -0.75), (0.85, -0.15))
    along = (side * canvas.x - 0.14 * traits.eye_distance) / 0.52
    middle = -0.385 - 0.075 * np.sin(np.pi * np.clip(along, 0.0, 1.0)) - 0.03 * along
    thickness = 0.052 * traits.brow_weight * (1.0 - 0.65 * np.clip(along, 0.0, 1.0))
    strands = 1.0 + 0.25 * grain(*canvas.rgb.shape[:2], size_px=1.5, rng=rng)
    brow = strands * np.exp(-0.5 * ((canvas.y - middle + traits.brow_rise) / thickness) ** 2)
    brow *= smoothstep(along, -0.06, 0.06) * smoothstep(along, 1.03, 0.9)
    canvas.paint(np.clip(0.8 * brow, 0.0, 1.0), hair)


def draw_nose(canvas: Canvas, traits: Traits) -> None:
    """A bright ridge, shaded flanks, the ball, wings and nostrils."""
    canvas = canvas.part((-0.9, -0.5), (0.9, 1.0))
    x, width = canvas.x, traits.nose_width
    down = smoothstep(canvas.y, -0.30, -0.1) * smoothstep(canvas.y, 0.44, 0.34)
    half_width = width * (0.085 + 0.07 * smoothstep(canvas.y, -0.1, 0.4))
    for side, factor in ((-1, 0.90), (1, 0.80)):
        flank = np.exp(-0.5 * ((x - side * 1.35 * half_width) / 0.055) ** 2)
        canvas.shade(flank * down, factor)
    canvas.shade(np.exp(-0.5 * ((x + 0.015) / 0.045) ** 2) * down, 1.09)
    canvas.shade(canvas.glow((-0.02, 0.34), (0.085 * width, 0.07)), 1.07)
    for side in (-1, 1):
        canvas.shade(canvas.glow((side * 0.205 * width, 0.37), (0.028, 0.065)), 0.78)
        nostril = canvas.ellipse((side * 0.095 * width, 0.445), (0.055 * width, 0.026))
        canvas.paint(0.85 * nostril, (0.2, 0.1, 0.08))
    canvas.shade(canvas.glow((0.03, 0.475), (0.17 * width, 0.028)), 0.76)
    for side in (-1, 1):
        fold = x * side - (0.25 + 0.32 * (canvas.y - 0.4))
        reach = smoothstep(canvas.y, 0.36, 0.48) * smoothstep(canvas.y, 0.86, 0.65)
        canvas.shade(np.exp(-0.5 * (fold / 0.03) ** 2) * reach, 0.90)


def draw_mouth(canvas: Canvas, *, lips: Colour, traits: Traits, opening: float) -> None:
    """Two lips with a cupid's bow, what is between them, and the shadow below.

    opening: height of the gap between the lips in face units.
    """
    canvas = canvas.part(*MOUTH)
    y, full = 0.72, traits.lip_fullness
    u = canvas.x / (0.35 * traits.mouth_width)
    arc = np.clip(1.0 - u * u, 0.0, 1.0)
    inside = np.abs(u) < 1.0
    between = y - 0.012 * np.cos(3.0 * np.pi * u) * arc - 0.015 * (1.0 - arc)
    below = between + opening * arc**0.7
    bow = 0.075 * full * arc**0.9 * (1.0 - 0.22 * np.exp(-0.5 * (u / 0.13) ** 2))
    upper = smoothstep(np.minimum(canvas.y - (between - bow), between - canvas.y), -0.01, 0.012)
    lower_edge = below + 0.105 * full * arc**0.8
    lower = smoothstep(np.minimum(canvas.y - below, lower_edge - canvas.y), -0.01, 0.02)
    canvas.paint(0.85 * lower * inside, lips)
    canvas.paint(0.85 * upper * inside, (lips[0] * 0.86, *lips[1:]))
    canvas.shade(upper * inside, 0.88)
    canvas.shade(canvas.glow((-0.03, y + opening + 0.055), (0.12, 0.02)), 1.12)
    if opening > 0:
        gap = smoothstep(np.minimum(canvas.y - between, below - canvas.y), 0.0, 0.02) * inside
        canvas.paint(gap, (0.22, 0.08, 0.08))
        canvas.paint(gap * smoothstep(canvas.y - between, 0.05, 0.02), (0.75, 0.72, 0.66))
    line = np.exp(-0.5 * ((canvas.y - between) / 0.011) ** 2) * smoothstep(np.abs(u), 1.06, 0.92)
    canvas.paint(0.85 * line, (0.25, 0.11, 0.10))
    canvas.shade(canvas.glow((0.0, y + opening + 0.145), (0.2, 0.03)), 0.84)


def draw_glasses(canvas: Canvas, traits: Traits) -> None:
    """A thin dark frame around the eyes and over the nose."""
    canvas = canvas.part((-1.1, -0.5), (1.1, 0.2))
    x = 0.40 * traits.eye_distance
    for side in (-1, 1):
        ring = canvas.ellipse((side * x, -0.14), (0.31, 0.22), soft=0.02)
        ring = ring - canvas.ellipse((side * x, -0.14), (0.285, 0.195), soft=0.02)
        canvas.paint(0.9 * np.clip(ring, 0.0, 1.0), (0.12, 0.11, 0.11))
        temple = np.exp(-0.5 * ((canvas.y + 0.19) / 0.012) ** 2)
        canvas.paint(0.8 * temple * (side * canvas.x > x + 0.30), (0.12, 0.11, 0.11))
    bridge = np.exp(-0.5 * ((canvas.y + 0.18) / 0.012) ** 2) * (np.abs(canvas.x) < x - 0.28)
    canvas.paint(0.9 * bridge, (0.12, 0.11, 0.11))


def draw_beard(
    canvas: Canvas,
    head: Float[np.ndarray, "h w"],
    *,
    hair: Colour,
    density: float,
    rng: np.random.Generator,
) -> Float[np.ndarray, "h w"]:
    """Hair on cheeks, chin and upper lip; returns where it hides the skin, 0 to 1."""
    cheeks = smoothstep(canvas.y + 0.35 * np.abs(canvas.x), 0.72, 0.98)
    lip = canvas.glow((0.0, 0.60), (0.26, 0.045))
    mouth = canvas.ellipse((0.0, 0.76), (0.34, 0.13), soft=0.08)
    beard = np.clip(np.maximum(cheeks, lip) - mouth, 0.0, 1.0) * head
    strands = np.clip(1.0 + 0.35 * grain(*canvas.rgb.shape[:2], size_px=1.3, rng=rng), 0.0, 1.6)
    cover = np.clip(density * beard * strands, 0.0, 0.95)
    canvas.paint(cover, hair)
    return np.asarray(cover)
