"""A drawn face, front view: enough of one for a face detector, and for the eye."""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float

from physkit.synth.canvas import Canvas, Colour, grain, smoothstep

SUPERSAMPLE = 2
"""Drawn this many times larger and reduced, for clean edges."""


@dataclass(frozen=True)
class FaceConfig:
    """What the person looks like. Colours are RGB in [0, 1]."""

    skin: Colour = (0.80, 0.60, 0.50)
    """Skin in full light."""
    hair: Colour = (0.17, 0.11, 0.08)
    """Hair and eyebrows."""
    iris: Colour = (0.30, 0.20, 0.12)
    """Iris."""
    lips: Colour = (0.70, 0.40, 0.37)
    """Lips."""
    shirt: Colour = (0.25, 0.32, 0.42)
    """Shirt."""
    half_width_share: float = 0.22
    """Half the face's width, relative to the height of the image."""


@dataclass(frozen=True, eq=False)
class Portrait:
    """One person without a background, still and in even light."""

    rgb: Float[np.ndarray, "h w 3"]
    """Colours in [0, 1], already multiplied by the opacity."""
    opacity: Float[np.ndarray, "h w"]
    """1 where the person is, 0 where the background shows."""
    perfusion: Float[np.ndarray, "h w"]
    """How strongly each place pulses: 1 at the forehead and cheeks, 0 off the skin."""
    centre_px: tuple[float, float]
    """Centre of the face, (x, y)."""
    box_px: tuple[int, int, int, int]
    """The whole face from hairline to chin: x, y, width, height."""


def draw_portrait(
    height: int, width: int, *, config: FaceConfig, rng: np.random.Generator
) -> Portrait:
    """A person in the middle of an image of that size."""
    unit_px = config.half_width_share * height
    centre_px = (width / 2, 0.47 * height)
    canvas = Canvas.blank(
        height * SUPERSAMPLE,
        width * SUPERSAMPLE,
        centre_px=(centre_px[0] * SUPERSAMPLE, centre_px[1] * SUPERSAMPLE),
        unit_px=unit_px * SUPERSAMPLE,
    )
    body, neck = _draw_body(canvas, config)
    head = _face_outline(canvas)
    _draw_head(canvas, head, config, rng)
    hair = _draw_hair(canvas, config, rng)
    perfusion = np.maximum(head, 0.6 * neck) * (1.0 - hair) * _perfusion(canvas)
    opacity = np.maximum.reduce([body, head, hair, neck, _ears(canvas)])
    left, top = centre_px[0] - 1.05 * unit_px, centre_px[1] - 1.15 * unit_px
    return Portrait(
        _reduced(canvas.rgb),
        _reduced(opacity),
        _reduced(perfusion),
        centre_px,
        (round(left), round(top), round(2.1 * unit_px), round(2.5 * unit_px)),
    )


def _reduced(image: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    """The image at its final size."""
    size = (image.shape[1] // SUPERSAMPLE, image.shape[0] // SUPERSAMPLE)
    return np.asarray(cv2.resize(image.astype(np.float32), size, interpolation=cv2.INTER_AREA))


def _face_outline(canvas: Canvas) -> Float[np.ndarray, "h w"]:
    """The face: an ellipse that narrows to the chin."""
    half_width = 0.97 - 0.09 * smoothstep(canvas.y, 0.2, 1.2)
    distance = np.hypot(canvas.x / half_width, canvas.y / 1.30)
    return smoothstep(distance, 1.015, 0.985)


def _ears(canvas: Canvas) -> Float[np.ndarray, "h w"]:
    left, right = (canvas.ellipse((side * 1.0, 0.05), (0.13, 0.27)) for side in (-1, 1))
    return np.asarray(np.maximum(left, right))


def _neck(canvas: Canvas) -> Float[np.ndarray, "h w"]:
    """A column below the chin that widens into the shoulders."""
    half_width = 0.52 + 0.25 * smoothstep(canvas.y, 1.5, 2.1)
    column = smoothstep(np.abs(canvas.x), half_width + 0.02, half_width - 0.02)
    column *= smoothstep(canvas.y, 0.5, 0.6) * smoothstep(canvas.y, 2.15, 2.05)
    return column


def _draw_body(
    canvas: Canvas, config: FaceConfig
) -> tuple[Float[np.ndarray, "h w"], Float[np.ndarray, "h w"]]:
    """Hair behind the head, shirt, ears and neck; the places of hair with shirt, and of neck."""
    behind = canvas.ellipse((0.0, -0.35), (1.10, 1.16), soft=0.06)
    canvas.paint(behind, config.hair)
    shoulders = canvas.ellipse((0.0, 3.2), (2.5, 1.45), soft=0.04)
    canvas.paint(shoulders, config.shirt)
    canvas.shade(canvas.glow((-1.6, 2.6), (0.5, 0.6)) * shoulders, 0.85)
    canvas.shade(canvas.glow((1.7, 2.6), (0.6, 0.8)) * shoulders, 0.7)
    neck = _neck(canvas) * (1.0 - shoulders * (1.0 - canvas.ellipse((0.0, 1.7), (0.72, 0.42))))
    canvas.paint(neck, config.skin)
    canvas.shade(neck, 0.88)
    canvas.shade(neck * canvas.glow((0.1, 1.15), (0.9, 0.32)), 0.62)
    ears = _ears(canvas)
    canvas.paint(ears, config.skin)
    canvas.shade(ears, 0.86)
    for side in (-1, 1):
        canvas.shade(canvas.glow((side * 1.02, 0.06), (0.05, 0.14)), 0.75)
    return np.maximum(behind, shoulders), neck


def _draw_head(
    canvas: Canvas, head: Float[np.ndarray, "h w"], config: FaceConfig, rng: np.random.Generator
) -> None:
    """Skin with its relief, then eyes, brows, nose and mouth."""
    canvas.paint(head, config.skin)
    # A half ellipsoid under a lamp from the upper left.
    depth = np.sqrt(np.clip(1.0 - (canvas.x / 1.1) ** 2 - (canvas.y / 1.5) ** 2, 0.0, 1.0))
    lit = -0.30 * canvas.x / 1.1 - 0.30 * canvas.y / 1.5 + 0.90 * depth
    canvas.rgb[:] *= (1.0 + head * (0.52 + 0.54 * lit - 1.0))[..., None]
    for side in (-1, 1):
        cheek = head * canvas.glow((side * 0.55, 0.42), (0.24, 0.2))
        canvas.rgb[:] *= 1.0 + cheek[..., None] * np.array([0.04, -0.04, -0.03], np.float32)
    spots = grain(*canvas.x.shape, size_px=3.0, rng=rng)
    pores = grain(*canvas.x.shape, size_px=1.2, rng=rng)
    canvas.rgb[:] *= (1.0 + head * (0.012 * spots + 0.012 * pores))[..., None]
    for side in (-1, 1):
        _draw_eye(canvas, side, config)
        _draw_brow(canvas, side, config, rng)
    _draw_nose(canvas)
    _draw_mouth(canvas, config)
    canvas.shade(head * canvas.glow((0.0, 1.05), (0.16, 0.10)), 1.05)
    canvas.shade(head * canvas.glow((0.0, 0.92), (0.2, 0.035)), 0.90)


def _draw_eye(canvas: Canvas, side: int, config: FaceConfig) -> None:
    """Socket, almond, iris, pupil, catch light, lids and lashes of one eye."""
    x, y = side * 0.40, -0.17
    canvas.shade(canvas.glow((x - side * 0.06, y - 0.05), (0.22, 0.13)), 0.72)
    canvas.shade(canvas.glow((x, y + 0.15), (0.17, 0.04)), 0.90)
    u = (canvas.x - x) / 0.205
    arc = np.clip(1.0 - u * u, 0.0, 1.0)
    upper, lower = y - 0.085 * arc**0.8, y + 0.065 * arc
    open_eye = smoothstep(np.minimum(canvas.y - upper, lower - canvas.y), 0.0, 0.016)
    open_eye *= np.abs(u) < 1.0
    canvas.paint(open_eye, (0.86, 0.83, 0.80))
    canvas.shade(open_eye * smoothstep(canvas.y - upper, 0.07, 0.0), 0.6)
    iris = open_eye * canvas.ellipse((x, y - 0.012), (0.088, 0.088), soft=0.015)
    canvas.paint(iris, (config.iris[0] * 0.4, config.iris[1] * 0.4, config.iris[2] * 0.4))
    canvas.paint(open_eye * canvas.ellipse((x, y - 0.012), (0.074, 0.074), soft=0.03), config.iris)
    canvas.paint(open_eye * canvas.ellipse((x, y - 0.012), (0.036, 0.036)), (0.03, 0.02, 0.02))
    canvas.paint(open_eye * canvas.ellipse((x - 0.03, y - 0.04), (0.018, 0.018)), (1.0, 1.0, 1.0))
    on_eye = np.abs(u) < 1.04
    lashes = np.exp(-0.5 * ((canvas.y - upper + 0.008) / 0.013) ** 2) * on_eye
    canvas.paint(0.9 * lashes, (0.07, 0.05, 0.04))
    canvas.shade(np.exp(-0.5 * ((canvas.y - upper + 0.07) / 0.012) ** 2) * on_eye, 0.78)
    canvas.shade(np.exp(-0.5 * ((canvas.y - lower) / 0.010) ** 2) * on_eye, 0.72)


def _draw_brow(canvas: Canvas, side: int, config: FaceConfig, rng: np.random.Generator) -> None:
    """A tapering arch of hair."""
    along = (side * canvas.x - 0.14) / 0.52
    middle = -0.385 - 0.075 * np.sin(np.pi * np.clip(along, 0.0, 1.0)) - 0.03 * along
    thickness = 0.052 * (1.0 - 0.65 * np.clip(along, 0.0, 1.0))
    strands = 1.0 + 0.25 * grain(*canvas.x.shape, size_px=1.5, rng=rng)
    brow = strands * np.exp(-0.5 * ((canvas.y - middle) / thickness) ** 2)
    brow *= smoothstep(along, -0.06, 0.06) * smoothstep(along, 1.03, 0.9)
    canvas.paint(np.clip(0.8 * brow, 0.0, 1.0), config.hair)


def _draw_nose(canvas: Canvas) -> None:
    """A bright ridge, a shaded right side, the ball, wings and nostrils."""
    down = smoothstep(canvas.y, -0.30, -0.1) * smoothstep(canvas.y, 0.44, 0.34)
    half_width = 0.085 + 0.07 * smoothstep(canvas.y, -0.1, 0.4)
    for side, factor in ((-1, 0.90), (1, 0.80)):
        flank = np.exp(-0.5 * ((canvas.x - side * 1.35 * half_width) / 0.055) ** 2)
        canvas.shade(flank * down, factor)
    canvas.shade(np.exp(-0.5 * ((canvas.x + 0.015) / 0.045) ** 2) * down, 1.09)
    canvas.shade(canvas.glow((-0.02, 0.34), (0.085, 0.07)), 1.07)
    for side in (-1, 1):
        wing = canvas.glow((side * 0.205, 0.37), (0.028, 0.065))
        canvas.shade(wing, 0.78)
        canvas.paint(0.85 * canvas.ellipse((side * 0.095, 0.445), (0.055, 0.026)), (0.2, 0.1, 0.08))
    canvas.shade(canvas.glow((0.03, 0.475), (0.17, 0.028)), 0.76)
    for side in (-1, 1):
        fold = canvas.x * side - (0.25 + 0.32 * (canvas.y - 0.4))
        reach = smoothstep(canvas.y, 0.36, 0.48) * smoothstep(canvas.y, 0.86, 0.65)
        canvas.shade(np.exp(-0.5 * (fold / 0.03) ** 2) * reach, 0.90)


def _draw_mouth(canvas: Canvas, config: FaceConfig) -> None:
    """Two lips with a cupid's bow, the line between them and the shadow below."""
    y = 0.72
    u = canvas.x / 0.35
    arc = np.clip(1.0 - u * u, 0.0, 1.0)
    between = y - 0.012 * np.cos(3.0 * np.pi * u) * arc - 0.015 * (1.0 - arc)
    bow = 0.075 * arc**0.9 * (1.0 - 0.22 * np.exp(-0.5 * (u / 0.13) ** 2))
    upper = smoothstep(np.minimum(canvas.y - (between - bow), between - canvas.y), -0.01, 0.012)
    lower = smoothstep(
        np.minimum(canvas.y - between, between + 0.105 * arc**0.8 - canvas.y), -0.01, 0.02
    )
    inside = np.abs(u) < 1.0
    canvas.paint(0.85 * lower * inside, config.lips)
    canvas.paint(0.85 * upper * inside, (config.lips[0] * 0.86, *config.lips[1:]))
    canvas.shade(upper * inside, 0.88)
    canvas.shade(canvas.glow((-0.03, y + 0.055), (0.12, 0.02)), 1.12)
    line = np.exp(-0.5 * ((canvas.y - between) / 0.011) ** 2) * smoothstep(np.abs(u), 1.06, 0.92)
    canvas.paint(0.85 * line, (0.25, 0.11, 0.10))
    canvas.shade(canvas.glow((0.0, y + 0.145), (0.2, 0.03)), 0.84)


def _draw_hair(
    canvas: Canvas, config: FaceConfig, rng: np.random.Generator
) -> Float[np.ndarray, "h w"]:
    """Hair over the top and temples, with strands and a sheen."""
    outside = canvas.ellipse((0.0, -0.35), (1.10, 1.16), soft=0.05)
    forehead = smoothstep(
        (np.abs(canvas.x - 0.03) / 0.90) ** 2.8 + (np.abs(canvas.y - 0.25) / 1.12) ** 2.8, 1.06, 0.9
    )
    hair = outside * (1.0 - forehead) * smoothstep(canvas.y, 0.02, -0.12)
    canvas.paint(hair, config.hair)
    # Strands run outward from the crown: noise that is long along the radius.
    angle = np.arctan2(canvas.y + 0.9, canvas.x)
    table = rng.standard_normal(720)
    strands = np.interp(angle, np.linspace(-np.pi, np.pi, table.size), table)
    canvas.rgb[:] *= (1.0 + 0.16 * hair * strands)[..., None]
    canvas.shade(hair * canvas.glow((-0.35, -1.15), (0.4, 0.16)), 1.5)
    return np.asarray(hair)


def _perfusion(canvas: Canvas) -> Float[np.ndarray, "h w"]:
    """Pulse strength over the face; eyes, brows and nostrils do not pulse."""
    strength = 0.75 + 0.25 * np.maximum(
        canvas.glow((0.0, -0.7), (0.6, 0.3)),
        np.maximum(canvas.glow((-0.55, 0.35), (0.3, 0.3)), canvas.glow((0.55, 0.35), (0.3, 0.3))),
    )
    for side in (-1, 1):
        strength *= 1.0 - canvas.ellipse((side * 0.40, -0.17), (0.21, 0.09))
        strength *= 1.0 - 0.8 * canvas.glow((side * 0.38, -0.46), (0.2, 0.05))
    return np.asarray(strength)
