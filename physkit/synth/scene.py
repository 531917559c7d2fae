"""Renders a person before a wall: pose by warping, light and blood by a smooth field of gains.

Everything that changes smoothly over the face (lamps on a turning head, blood, highlights) is
computed in linear light on a coarse grid and multiplied with the drawing as one gain for each pixel
and channel. The tone curve is a power, so it can be applied to the gains alone.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float

from physkit.synth.canvas import grain, smoothstep
from physkit.synth.face import Portrait, draw_portrait
from physkit.synth.light import Lighting
from physkit.synth.motion import HeadMotion
from physkit.synth.parameters import SynthParameters
from physkit.synth.streams import Streams

WALL_RGB = (0.52, 0.56, 0.58)
"""The wall in the display's gamma."""
GAIN_CELL, WARP_CELL = 1 / 18, 1 / 13
"""Spacing of the coarse grids of gains and of the warp, in half face widths."""
HEAD_REACH, SHOULDERS_Y = (1.45, 1.75), 1.55
"""Extent of hair and head from the face's middle, and start of the shoulders."""
DEPTH = 0.55
"""Depth of a face, from its rim to its middle, in half face widths."""
WRAP = 0.3
"""Added to the cosine of normal and lamp: lamps are not points, their light reaches further."""
LAMP_MEAN = 0.8
"""Mean of a lamp's light over a face, relative to a surface that faces the lamp."""
GLOSS_DOUBLINGS = 4
"""Highlights fall off with this power of two of a cosine."""
JAW_DROP, JAW_SHADE = 0.06, 0.10
"""Shift of the chin with a wide open mouth, and how much darker it then is."""
WALL_LAMP, WALL_SCREEN = 0.8, 0.15
"""Share of the light of lamp and screen that reaches the wall."""


@dataclass(frozen=True, eq=False)
class Moments:
    """Everything that changes over the frames of a recording."""

    motion: HeadMotion
    light: Lighting
    exposure: Float[np.ndarray, "t 3"]
    """Linear gain of the camera."""
    volume: Float[np.ndarray, "t 2"]
    """Blood volume in the forehead and at the chin."""


class Scene:
    """One person, one room, one camera: renders the picture at any of the moments."""

    def __init__(self, parameters: SynthParameters, moments: Moments, streams: Streams) -> None:
        self._dials, self._moments = parameters, moments
        self._height, self._width = parameters.camera.height, parameters.camera.width
        skin = parameters.skin.colour ** (1.0 / parameters.camera.gamma)
        self.portrait = draw_portrait(
            self._height,
            self._width,
            config=parameters.face,
            skin=(float(skin[0]), float(skin[1]), float(skin[2])),
            rng=streams.of("person"),
        )
        self._prepare_pictures(streams.of("wall"))
        self._prepare_gains(streams.of("perfusion"))
        self._prepare_warp()

    def _prepare_pictures(self, rng: np.random.Generator) -> None:
        def blurred(picture: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
            levels = picture.astype(np.float32)
            width = self._dials.camera.blur_px
            return np.asarray(cv2.GaussianBlur(levels, (0, 0), width)) if width > 0 else levels

        portrait = self.portrait
        self._person = blurred(255 * portrait.rgb)
        with_lids, with_gap = portrait.rgb.copy(), portrait.rgb.copy()
        with_lids[portrait.eyes] = portrait.closed_eyes
        with_gap[portrait.mouth] = portrait.open_mouth
        self._closed_eyes = np.ascontiguousarray(blurred(255 * with_lids)[portrait.eyes])
        self._open_mouth = np.ascontiguousarray(blurred(255 * with_gap)[portrait.mouth])
        self._opacity = blurred(portrait.opacity)
        self._wall = blurred(255 * _wall(self._height, self._width, rng))

    def _prepare_gains(self, rng: np.random.Generator) -> None:
        """Surface normals and skin on the coarse grid; "n" runs over its cells."""
        portrait, skin = self.portrait, self._dials.skin
        size = self._cells(GAIN_CELL)
        self._gain_shape = (size[1], size[0], 3)

        def coarse(field: Float[np.ndarray, "h w"]) -> Float[np.ndarray, "n"]:
            small = cv2.resize(field, size, interpolation=cv2.INTER_AREA)
            return np.asarray(small.reshape(-1), np.float32)

        x, y = (axis.reshape(-1) for axis in _grid(size, self._width, self._height, portrait))
        self._normals = _normals(x, y)
        patches = grain(size[1], size[0], size_px=0.3 / GAIN_CELL, rng=rng)
        patchy = np.clip(1.0 + skin.perfusion_spread * patches.reshape(-1), 0.2, 1.8)
        perfusion = coarse(portrait.perfusion) * patchy
        low = smoothstep(y, -1.0, 1.0)
        self._perfusion = np.stack([perfusion * (1 - low), perfusion * low]).astype(np.float32)
        self._gloss = coarse(portrait.skin)[:, None] * (skin.gloss / skin.colour)
        self._gloss = self._gloss.astype(np.float32)
        chin = smoothstep(y, 0.4, 0.9) * smoothstep(y, 1.4, 1.2) * smoothstep(np.abs(x), 0.9, 0.5)
        self._chin = (JAW_SHADE * chin).astype(np.float32)

    def _prepare_warp(self) -> None:
        height, width, portrait = self._height, self._width, self.portrait
        self._x, self._y = _grid(self._cells(WARP_CELL), width, height, portrait)
        self._bands = _bands(portrait, self._moments.motion, height, width)
        # Allocated once: an allocation for every picture costs as much time as filling it.
        self._picture = np.empty((height, width, 3), np.float32)
        self._full_gain, self._lit, self._warped = (np.empty_like(self._picture) for _ in range(3))
        self._source = np.empty((height, width, 2), np.float32)
        self._cover, self._gap = (np.empty((height, width), np.float32) for _ in range(2))

    def _cells(self, spacing: float) -> tuple[int, int]:
        """Columns and rows of a coarse grid."""
        cell_px = spacing * self.portrait.unit_px
        return max(2, round(self._width / cell_px)), max(2, round(self._height / cell_px))

    def at(self, t: int) -> Float[np.ndarray, "h w 3"]:
        """The noiseless picture at moment `t`, in grey levels of 255; the next call reuses it."""
        size, linear = (self._width, self._height), cv2.INTER_LINEAR
        drawing = self._drawing(t)
        gain = cv2.resize(self._gain(t), size, dst=self._full_gain, interpolation=linear)
        source = cv2.resize(self._source_px(t), size, dst=self._source, interpolation=linear)
        self._paint_wall(t)
        lit = cv2.multiply(drawing, gain, dst=self._lit)
        edge = cv2.BORDER_REPLICATE
        for band in self._bands:
            place, cover, gap = source[band], self._cover[band], self._gap[band]
            person = cv2.remap(lit, place, None, linear, dst=self._warped[band], borderMode=edge)
            cv2.remap(self._opacity, place, None, linear, dst=cover, borderMode=edge)
            cv2.subtract(1.0, cover, dst=gap)
            wall = self._picture[band]
            cv2.blendLinear(person, wall, cover, gap, dst=wall)
        return self._picture

    def face_boxes(self) -> Float[np.ndarray, "t 4"]:
        """The face from hairline to chin at every moment: x, y, width, height in pixels."""
        motion, unit = self._moments.motion, self.portrait.unit_px
        left, top, width, height = self.portrait.box_px
        centre = np.array([left + width / 2, top + height / 2]) + unit * motion.shift
        size = motion.scale[:, None] * np.array([width, height])
        return np.concatenate([centre - size / 2, size], axis=1)

    def _drawing(self, t: int) -> Float[np.ndarray, "h w 3"]:
        """The person in even light, with lids and mouth as they are."""
        motion = self._moments.motion
        moving = (
            (self.portrait.eyes, self._closed_eyes, float(motion.lids[t])),
            (self.portrait.mouth, self._open_mouth, float(motion.jaw[t])),
        )
        if not any(share for *_, share in moving):
            return self._person
        drawing = self._person.copy()
        for where, changed, share in moving:
            still = np.ascontiguousarray(drawing[where])
            drawing[where] = cv2.addWeighted(still, 1.0 - share, changed, share, 0.0)
        return drawing

    def _gain(self, t: int) -> Float[np.ndarray, "gh gw 3"]:
        """Light on each place relative to the drawing's, in the display's gamma."""
        light, motion = self._moments.light, self._moments.motion
        pose = _turn(motion.yaw[t], motion.pitch[t], motion.roll[t])
        halfway = light.directions + np.array([0.0, 0.0, 1.0])
        halfway /= np.linalg.norm(halfway, axis=1, keepdims=True)
        towards = (
            np.concatenate([light.directions, halfway]) @ pose
        )  # rotated back into the coordinates of the head
        cosines = self._normals @ towards.T.astype(np.float32)
        diffuse = np.maximum(cosines[:, :2] + np.float32(WRAP), 0.0)
        diffuse *= np.float32(1.0 / (LAMP_MEAN * (1.0 + WRAP)))
        highlights = np.maximum(cosines[:, 2:], 0.0)
        for _ in range(GLOSS_DOUBLINGS):
            highlights *= highlights
        sources = np.stack([light.lamp[t], light.screen[t]]).astype(np.float32)
        blood = self._moments.volume[t].astype(np.float32) @ self._perfusion
        gain = diffuse @ sources
        gain += light.around[t].astype(np.float32)
        gain *= 1.0 - blood[:, None] * self._dials.skin.pulsation.astype(np.float32)
        shine = highlights @ sources
        shine *= self._gloss
        gain += shine
        if motion.jaw[t]:
            gain *= (1.0 - np.float32(motion.jaw[t]) * self._chin)[:, None]
        gain *= self._exposure(t)
        return self._shown(gain).reshape(self._gain_shape)

    def _paint_wall(self, t: int) -> None:
        """Fills the picture with the wall in its light."""
        light = self._moments.light
        gain = WALL_LAMP * light.lamp[t] / LAMP_MEAN + light.around[t]
        gain = (gain + WALL_SCREEN * light.screen[t]) * self._exposure(t)
        row = np.tile(self._shown(gain.astype(np.float32)), self._width)
        wall, picture = (p.reshape(self._height, -1) for p in (self._wall, self._picture))
        np.multiply(wall, row, out=picture)

    def _exposure(self, t: int) -> Float[np.ndarray, "3"]:
        return np.asarray(self._dials.light.level * self._moments.exposure[t], np.float32)

    def _shown(self, linear: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
        return np.asarray(np.power(linear, np.float32(1.0 / self._dials.camera.gamma)))

    def _source_px(self, t: int) -> Float[np.ndarray, "wh ww 2"]:
        """Position in the drawing of each pixel of the picture: x, y in pixels."""
        motion, x, y = self._moments.motion, self._x, self._y
        cos, sin = np.cos(motion.roll[t]), np.sin(motion.roll[t])
        moved_x, moved_y = x - motion.shift[t, 0], y - motion.shift[t, 1]
        head_x = (cos * moved_x + sin * moved_y) / motion.scale[t]
        head_y = (cos * moved_y - sin * moved_x) / motion.scale[t]
        bulge = np.maximum(1.0 - (head_x / 1.15) ** 2 - (head_y / 1.45) ** 2, 0.0)
        depth = DEPTH * bulge * bulge
        dropped = 0.0
        if motion.jaw[t]:
            chin = smoothstep(head_y, 0.75, 1.0) * smoothstep(head_y, 1.75, 1.25)
            dropped = JAW_DROP * motion.jaw[t] * chin * smoothstep(np.abs(head_x), 0.95, 0.6)
        is_head = smoothstep(moved_y, 1.8, 1.15)
        body_x, body_y = x - motion.body_shift[t, 0], y - motion.body_shift[t, 1]
        from_x = body_x + is_head * (head_x - depth * np.sin(motion.yaw[t]) - body_x)
        from_y = body_y + is_head * (head_y - depth * np.sin(motion.pitch[t]) - dropped - body_y)
        unit, (centre_x, centre_y) = self.portrait.unit_px, self.portrait.centre_px
        source = np.stack([from_x * unit + centre_x - 0.5, from_y * unit + centre_y - 0.5], -1)
        return np.asarray(source, np.float32)


def _bands(
    portrait: Portrait, motion: HeadMotion, height: int, width: int
) -> tuple[tuple[slice, slice], ...]:
    """Rows and columns that head and body cover at any time: one band each, in the picture."""
    unit, (centre_x, centre_y) = portrait.unit_px, portrait.centre_px
    (left, top), right = motion.shift.min(axis=0), motion.shift[:, 0].max()
    reach_x, reach_y = (reach * float(motion.scale.max()) for reach in HEAD_REACH)

    def pixel(position: float, centre: float, limit: int) -> int:
        return int(np.clip(round(centre + unit * position), 0, limit))

    first = pixel(top - reach_y, centre_y, height)
    shoulders = pixel(
        min(0.0, float(motion.body_shift[:, 1].min())) + SHOULDERS_Y, centre_y, height
    )
    columns = slice(pixel(left - reach_x, centre_x, width), pixel(right + reach_x, centre_x, width))
    bands = ((slice(first, shoulders), columns), (slice(shoulders, height), slice(0, width)))
    # Of a large face the shoulders can lie below the picture.
    return tuple(band for band in bands if all(side.start < side.stop for side in band))


def _grid(
    size: tuple[int, int], width: int, height: int, portrait: Portrait
) -> tuple[Float[np.ndarray, "gh gw"], Float[np.ndarray, "gh gw"]]:
    """Centres of the cells of a coarse grid of (columns, rows), in face units."""
    x_px = (np.arange(size[0]) + 0.5) * width / size[0]
    y_px = (np.arange(size[1]) + 0.5) * height / size[1]
    x = (x_px - portrait.centre_px[0]) / portrait.unit_px
    y = (y_px - portrait.centre_px[1]) / portrait.unit_px
    across, down = np.meshgrid(x, y)
    return across, down


def _normals(x: Float[np.ndarray, "n"], y: Float[np.ndarray, "n"]) -> Float[np.ndarray, "n 3"]:
    """Unit normals (right, down, towards the camera) of half an ellipsoid on a flat chest."""
    out = np.hypot(x / 1.1, y / 1.5)
    bound = np.maximum(out, 1.0)
    towards = np.sqrt(np.clip(1.0 - out**2, 0.0, 1.0)) + 0.2
    head = np.stack([x / 1.1 / bound, y / 1.5 / bound, towards], axis=1)
    chest = np.stack([np.clip(0.15 * x, -0.4, 0.4), np.full_like(x, -0.1), np.ones_like(x)], axis=1)
    is_head = smoothstep(y, 1.6, 1.1)[:, None]
    normals = is_head * head + (1.0 - is_head) * chest
    lengths = np.linalg.norm(normals, axis=1, keepdims=True)
    return np.asarray(normals / lengths, np.float32)


def _turn(yaw: float, pitch: float, roll: float) -> Float[np.ndarray, "3 3"]:
    """Rotation of a head: to the right by yaw, down by pitch, then clockwise in the picture."""
    cos, sin = np.cos([yaw, pitch, roll]), np.sin([yaw, pitch, roll])
    about_y = np.array([[cos[0], 0, sin[0]], [0, 1, 0], [-sin[0], 0, cos[0]]])
    about_x = np.array([[1, 0, 0], [0, cos[1], sin[1]], [0, -sin[1], cos[1]]])
    about_z = np.array([[cos[2], -sin[2], 0], [sin[2], cos[2], 0], [0, 0, 1]])
    return np.asarray(about_z @ about_y @ about_x)


def _wall(height: int, width: int, rng: np.random.Generator) -> Float[np.ndarray, "h w 3"]:
    """A wall with plaster, a darker lower part and a frame or shelf out of focus."""
    plaster = 1.0 + 0.01 * grain(height, width, size_px=4.0, rng=rng)
    tint = rng.uniform(0.85, 1.1, 3)
    wall = (np.array(WALL_RGB) * tint * plaster[..., None]).astype(np.float32)
    for _ in range(2):
        left, top = rng.uniform(-0.1, 0.9) * width, rng.uniform(0.0, 0.7) * height
        right, bottom = left + rng.uniform(0.1, 0.3) * width, top + rng.uniform(0.1, 0.4) * height
        shape = np.zeros((height, width), np.float32)
        cv2.rectangle(shape, (int(left), int(top)), (int(right), int(bottom)), 1.0, -1)
        soft = cv2.GaussianBlur(shape, (0, 0), 0.008 * height)[..., None]
        wall += soft * (rng.uniform(0.25, 0.7, 3).astype(np.float32) - wall)
    return np.asarray(wall)
