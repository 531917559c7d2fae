"""A drawn face, front view, which face detectors find."""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float

from physkit.core.errors import InputError
from physkit.synth.canvas import Canvas, Colour, grain, smoothstep
from physkit.synth.features import (
    EYES,
    MOUTH,
    Traits,
    draw_beard,
    draw_brow,
    draw_eye,
    draw_glasses,
    draw_mouth,
    draw_nose,
)

SUPERSAMPLE = 2
"""Faces are drawn this many times larger and reduced, for smooth edges."""
MOUTH_OPENING = 0.15
"""Gap between the lips of a wide open mouth, in face units."""
HAIR_COLOURS: tuple[Colour, ...] = (
    (0.09, 0.07, 0.06),
    (0.17, 0.11, 0.08),
    (0.30, 0.20, 0.12),
    (0.50, 0.36, 0.22),
)
"""Hair colours, black to fair; dark skin has the first two."""


@dataclass(frozen=True)
class FaceConfig:
    """What the person looks like."""

    face_size: float = 0.22
    """Half the face's width, relative to the shorter side of the picture."""
    place_x: float = 0.0
    """How far right of the picture's middle the face is, in widths of the picture."""
    place_y: float = -0.03
    """How far below the picture's middle it is, in heights of the picture."""
    variety: float = 1.0
    """How much people differ in their features: 0 (all alike) to 1."""
    glasses: bool = False
    """Whether the person wears glasses."""
    beard: float = 0.0
    """How densely the lower face is covered with hair: 0 to 1."""
    makeup_cover: float = 0.0
    """How much of the skin's pulse make-up hides: 0 to 1."""
    fringe: float = 0.0
    """How much of the forehead the hair covers: 0 to 1."""

    def __post_init__(self) -> None:
        if not 0.05 <= self.face_size <= 0.35:
            raise InputError(f"face size {self.face_size}: choose 0.05 to 0.35 of the picture")


@dataclass(frozen=True, eq=False)
class Portrait:
    """One person without a background, still and in even light, in the display's gamma."""

    rgb: Float[np.ndarray, "h w 3"]
    """Colours in [0, 1]; they continue beyond the person's edge."""
    opacity: Float[np.ndarray, "h w"]
    """1 where the person is, 0 where the background shows."""
    perfusion: Float[np.ndarray, "h w"]
    """How strongly each place pulses: 1 at the forehead and cheeks, 0 off the skin."""
    skin: Float[np.ndarray, "h w"]
    """1 where bare skin is."""
    eyes: tuple[slice, slice]
    """Rows and columns that blinking changes."""
    closed_eyes: Float[np.ndarray, "eh ew 3"]
    """Those pixels when the eyes are closed."""
    mouth: tuple[slice, slice]
    """Rows and columns that talking changes."""
    open_mouth: Float[np.ndarray, "mh mw 3"]
    """Those pixels when the mouth is wide open."""
    centre_px: tuple[float, float]
    """Centre of the face, (x, y)."""
    unit_px: float
    """Half the face's width."""

    @property
    def box_px(self) -> tuple[float, float, float, float]:
        """The whole face from hairline to chin: x, y, width, height."""
        (x, y), unit = self.centre_px, self.unit_px
        return (x - 1.05 * unit, y - 1.15 * unit, 2.1 * unit, 2.5 * unit)


@dataclass(frozen=True)
class _Paints:
    """Colours of one person in the display's gamma."""

    skin: Colour
    hair: Colour
    iris: Colour
    lips: Colour
    shirt: Colour


def draw_portrait(
    height: int,
    width: int,
    *,
    config: FaceConfig,
    skin: Colour,
    rng: np.random.Generator,
) -> Portrait:
    """A person in a picture of that size; `skin` is in the display's gamma."""
    unit_px = config.face_size * min(height, width)
    traits, paints = _draw_traits(config, rng), _draw_paints(skin, rng)
    centre_px = ((0.5 + config.place_x) * width, (0.5 + config.place_y) * height)
    canvas = Canvas.blank(
        height * SUPERSAMPLE,
        width * SUPERSAMPLE,
        centre_px=(centre_px[0] * SUPERSAMPLE, centre_px[1] * SUPERSAMPLE),
        unit_px=unit_px * SUPERSAMPLE,
    )
    body, neck = _draw_body(canvas, paints)
    head = _face_outline(canvas, traits)
    _draw_skin(canvas, head, paints, rng)
    bare = _draw_features(canvas, head, config, traits, paints, rng)
    hair = _hair(canvas, config, traits)
    _draw_hair(canvas, hair, paints, rng)
    closed, opened = _moving_parts(canvas, config, traits, paints)
    perfusion = np.maximum(head * bare, 0.6 * neck) * (1.0 - hair) * _perfusion(canvas, traits)
    opacity = np.maximum.reduce([body, head, hair, neck, _ears(canvas)])
    eyes, mouth = (_whole_pixels(canvas.span(*corners)) for corners in (EYES, MOUTH))
    return Portrait(
        rgb=_spread(_reduced(canvas.rgb), _reduced(opacity)),
        opacity=_reduced(opacity),
        perfusion=_reduced(perfusion * (1.0 - 0.8 * config.makeup_cover * head)),
        skin=_reduced(np.maximum(head * bare, neck) * (1.0 - hair)),
        eyes=eyes,
        closed_eyes=_reduced(closed.rgb)[eyes],
        mouth=mouth,
        open_mouth=_reduced(opened.rgb)[mouth],
        centre_px=centre_px,
        unit_px=unit_px,
    )


def _draw_traits(config: FaceConfig, rng: np.random.Generator) -> Traits:
    """A random person; the number of random draws does not depend on the variety."""

    def about(mean: float, spread: float) -> float:
        return mean + config.variety * spread * float(rng.uniform(-1.0, 1.0))

    return Traits(
        eye_distance=about(1.0, 0.05),
        eye_size=about(1.0, 0.10),
        brow_rise=about(0.0, 0.03),
        brow_weight=about(1.0, 0.30),
        nose_width=about(1.0, 0.15),
        mouth_width=about(1.0, 0.10),
        lip_fullness=about(1.0, 0.25),
        jaw_width=about(1.0, 0.06),
        face_height=about(1.0, 0.04),
        hairline=about(0.0, 0.05),
        parting=about(0.0, 0.12),
    )


def _draw_paints(skin: Colour, rng: np.random.Generator) -> _Paints:
    """Colours of hair, eyes, lips and shirt that go with a skin."""
    is_dark = skin[1] < 0.5
    hair = HAIR_COLOURS[int(rng.integers(0, 2 if is_dark else len(HAIR_COLOURS)))]
    iris = ((0.28, 0.18, 0.10), (0.30, 0.38, 0.42))[int(rng.uniform() < 0.3 and not is_dark)]
    shade = rng.uniform(0.15, 0.6, 3)
    shirt = (float(shade[0]), float(shade[1]), float(shade[2]))
    lips = (0.88 * skin[0], 0.66 * skin[1], 0.74 * skin[2])
    return _Paints(skin, hair, iris, lips, shirt)


def _whole_pixels(span: tuple[slice, slice]) -> tuple[slice, slice]:
    """The final pixels that a part of the large drawing covers."""
    rows, columns = (
        slice(side.start // SUPERSAMPLE, -(-side.stop // SUPERSAMPLE)) for side in span
    )
    return rows, columns


def _reduced(image: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    """The image at its final size."""
    size = (image.shape[1] // SUPERSAMPLE, image.shape[0] // SUPERSAMPLE)
    return np.asarray(cv2.resize(image.astype(np.float32), size, interpolation=cv2.INTER_AREA))


def _spread(
    rgb: Float[np.ndarray, "h w 3"], opacity: Float[np.ndarray, "h w"]
) -> Float[np.ndarray, "h w 3"]:
    """Colours continued beyond the edge, so that a blurred edge does not become darker."""
    weight = opacity[..., None]
    near = cv2.GaussianBlur(rgb * weight, (0, 0), 3.0)
    sum_of_weights = cv2.GaussianBlur(opacity, (0, 0), 3.0)[..., None]
    beyond = near / np.maximum(sum_of_weights, 1e-3)
    return np.asarray(np.where(weight > 0.99, rgb, beyond))


def _face_outline(canvas: Canvas, traits: Traits) -> Float[np.ndarray, "h w"]:
    """The face: an ellipse that narrows to the chin."""
    narrowing = 0.09 + 0.5 * (1.0 - traits.jaw_width)
    half_width = 0.97 - narrowing * smoothstep(canvas.y, 0.2, 1.2)
    distance = np.hypot(canvas.x / half_width, canvas.y / (1.30 * traits.face_height))
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
    canvas: Canvas, paints: _Paints
) -> tuple[Float[np.ndarray, "h w"], Float[np.ndarray, "h w"]]:
    """Hair behind the head, shirt, ears and neck; the places of hair with shirt, and of neck."""
    behind = canvas.ellipse((0.0, -0.35), (1.10, 1.16), soft=0.06)
    canvas.paint(behind, paints.hair)
    shoulders = canvas.ellipse((0.0, 3.2), (2.5, 1.45), soft=0.04)
    canvas.paint(shoulders, paints.shirt)
    canvas.shade(canvas.glow((-1.6, 2.6), (0.5, 0.6)) * shoulders, 0.85)
    canvas.shade(canvas.glow((1.7, 2.6), (0.6, 0.8)) * shoulders, 0.7)
    neck = _neck(canvas) * (1.0 - shoulders * (1.0 - canvas.ellipse((0.0, 1.7), (0.72, 0.42))))
    canvas.paint(neck, paints.skin)
    canvas.shade(neck, 0.88)
    canvas.shade(neck * canvas.glow((0.1, 1.15), (0.9, 0.32)), 0.62)
    ears = _ears(canvas)
    canvas.paint(ears, paints.skin)
    canvas.shade(ears, 0.86)
    for side in (-1, 1):
        canvas.shade(canvas.glow((side * 1.02, 0.06), (0.05, 0.14)), 0.75)
    return np.maximum(behind, shoulders), neck


def _draw_skin(
    canvas: Canvas, head: Float[np.ndarray, "h w"], paints: _Paints, rng: np.random.Generator
) -> None:
    """Skin with spots and pores, the blush of the cheeks, and the chin."""
    canvas.paint(head, paints.skin)
    for side in (-1, 1):
        cheek = head * canvas.glow((side * 0.55, 0.42), (0.24, 0.2))
        canvas.rgb[:] *= 1.0 + cheek[..., None] * np.array([0.04, -0.04, -0.03], np.float32)
    spots = grain(*head.shape, size_px=3.0, rng=rng)
    pores = grain(*head.shape, size_px=1.2, rng=rng)
    canvas.rgb[:] *= (1.0 + head * (0.012 * spots + 0.012 * pores))[..., None]
    canvas.shade(head * canvas.glow((0.0, 1.05), (0.16, 0.10)), 1.05)
    canvas.shade(head * canvas.glow((0.0, 0.92), (0.2, 0.035)), 0.90)


def _draw_features(
    canvas: Canvas,
    head: Float[np.ndarray, "h w"],
    config: FaceConfig,
    traits: Traits,
    paints: _Paints,
    rng: np.random.Generator,
) -> Float[np.ndarray, "h w"]:
    """Draws nose, beard and brows; returns where the skin is bare."""
    draw_nose(canvas, traits)
    bare = 1.0 - draw_beard(canvas, head, hair=paints.hair, density=config.beard, rng=rng)
    for side in (-1, 1):
        draw_brow(canvas, side, hair=paints.hair, traits=traits, rng=rng)
    return np.asarray(bare)


def _moving_parts(
    canvas: Canvas, config: FaceConfig, traits: Traits, paints: _Paints
) -> tuple[Canvas, Canvas]:
    """Draws eyes and mouth; returns copies with closed eyes, and with an open mouth."""
    closed = Canvas(canvas.x, canvas.y, canvas.rgb.copy())
    opened = Canvas(canvas.x, canvas.y, canvas.rgb.copy())
    for picture, eyes_open, opening in (
        (canvas, True, 0.0),
        (closed, False, 0.0),
        (opened, True, MOUTH_OPENING),
    ):
        for side in (-1, 1):
            draw_eye(
                picture, side, iris=paints.iris, lid=paints.skin, traits=traits, is_open=eyes_open
            )
        draw_mouth(picture, lips=paints.lips, traits=traits, opening=opening)
        if config.glasses:
            draw_glasses(picture, traits)
    return closed, opened


def _hair(canvas: Canvas, config: FaceConfig, traits: Traits) -> Float[np.ndarray, "h w"]:
    """Mask of the hair over the top and temples."""
    outside = canvas.ellipse((0.0, -0.35), (1.10, 1.16), soft=0.05)
    lower = traits.hairline + 0.22 * config.fringe
    forehead = smoothstep(
        (np.abs(canvas.x - traits.parting) / 0.90) ** 2.8
        + (np.abs(canvas.y - 0.25 - lower) / 1.12) ** 2.8,
        1.06,
        0.9,
    )
    return np.asarray(outside * (1.0 - forehead) * smoothstep(canvas.y, 0.02, -0.12))


def _draw_hair(
    canvas: Canvas, hair: Float[np.ndarray, "h w"], paints: _Paints, rng: np.random.Generator
) -> None:
    """Hair with strands and a sheen."""
    canvas.paint(hair, paints.hair)
    # Strands run outward from the crown: noise that is long along the radius.
    angle = np.arctan2(canvas.y + 0.9, canvas.x)
    table = rng.standard_normal(720)
    strands = np.interp(angle, np.linspace(-np.pi, np.pi, table.size), table)
    canvas.rgb[:] *= (1.0 + 0.16 * hair * strands)[..., None]
    canvas.shade(hair * canvas.glow((-0.35, -1.15), (0.4, 0.16)), 1.5)


def _perfusion(canvas: Canvas, traits: Traits) -> Float[np.ndarray, "h w"]:
    """Pulse strength over the face; eyes and brows do not pulse."""
    strength = 0.75 + 0.25 * np.maximum(
        canvas.glow((0.0, -0.7), (0.6, 0.3)),
        np.maximum(canvas.glow((-0.55, 0.35), (0.3, 0.3)), canvas.glow((0.55, 0.35), (0.3, 0.3))),
    )
    for side in (-1, 1):
        x = side * 0.40 * traits.eye_distance
        strength *= 1.0 - canvas.ellipse((x, -0.17), (0.21, 0.09))
        strength *= 1.0 - 0.8 * canvas.glow((x, -0.46), (0.2, 0.05))
    return np.asarray(strength)
