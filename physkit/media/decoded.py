"""What a video decoder hands out, as pictures."""

import threading
from collections.abc import Callable
from pathlib import Path
from types import MappingProxyType
from typing import Literal

import av
import numpy as np
from av.sidedata.sidedata import Type as SideDataType
from av.video.reformatter import ColorRange, Interpolation, VideoReformatter
from jaxtyping import Float32, UInt8

from physkit.core.errors import InputError
from physkit.media.frames import REPAIR
from physkit.media.orientation import Orientation, quarter_turn, read_orientation
from physkit.media.picture import Picture, PixelPicture, TurnedPicture, sparse

PACKED: MappingProxyType[str, Literal["rgb", "bgr"]] = MappingProxyType(
    {"rgb24": "rgb", "bgr24": "bgr"}
)
"""Pixel formats that need no conversion, and the order of their channels."""

SUBSAMPLED = MappingProxyType(
    {"yuv420p": (1, 1), "yuvj420p": (1, 1), "yuv422p": (0, 1), "yuvj422p": (0, 1)}
)
"""Pixel formats in three planes, and how often the height and width of chroma are halved."""

FULL_RANGE_FORMATS = frozenset({"yuvj420p", "yuvj422p"})
LUMA_STEPS = 219
"""From black to white in limited range."""


class Converter:
    """Turns decoded pictures of one video to RGB; several threads may use it at once.

    Colours are converted by a picture's own matrix and range; where it names no matrix, BT.601 is
    used, as swscale and OpenCV do.

    path: of the video, for errors.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._of_thread = threading.local()
        self._whole = threading.Lock()

    def whole(self, picture: av.VideoFrame) -> UInt8[np.ndarray, "h w 3"]:
        """A whole picture of any pixel format. Raises InputError where it has no colours."""
        with self._whole:  # PyAV changes the picture's tags while it converts it
            return self._to_rgb(picture)

    def part(
        self, picture: av.VideoFrame, top: int, bottom: int, left: int, right: int
    ) -> UInt8[np.ndarray, "h w 3"]:
        """Part of a picture of one of the formats `SUBSAMPLED`; all four edges must be even."""
        name = picture.format.name
        scratch = self._scratch(bottom - top, right - left, name)
        scratch.colorspace, scratch.color_range = picture.colorspace, picture.color_range
        for index in range(3):
            y, x = SUBSAMPLED[name] if index else (0, 0)
            rows, columns = slice(top >> y, bottom >> y), slice(left >> x, right >> x)
            plane_of(scratch, index)[...] = plane_of(picture, index)[rows, columns]
        return self._to_rgb(scratch)

    def _scratch(self, height: int, width: int, name: str) -> av.VideoFrame:
        """A picture of this thread's own, to be written over."""
        key = (height, width, name)
        if getattr(self._of_thread, "scratch_key", None) != key:
            self._of_thread.scratch = av.VideoFrame(width, height, name)
            self._of_thread.scratch_key = key
        scratch: av.VideoFrame = self._of_thread.scratch
        return scratch

    def _to_rgb(self, picture: av.VideoFrame) -> UInt8[np.ndarray, "h w 3"]:
        reformatter = getattr(self._of_thread, "reformatter", None)
        if reformatter is None:
            reformatter = self._of_thread.reformatter = VideoReformatter()
        try:
            # One thread: at these sizes starting more costs more than it saves.
            converted = reformatter.reformat(
                picture, format="rgb24", interpolation=Interpolation.BILINEAR, threads=1
            )
        except av.FFmpegError as error:
            raise InputError(
                f"{self._path}: its colours ({picture.format.name}) cannot be converted to RGB "
                f"({error.strerror}); {REPAIR}"
            ) from error
        rgb: UInt8[np.ndarray, "h w 3"] = converted.to_ndarray()
        return rgb


class SubsampledPicture(Picture):
    """Luma and smaller chroma planes, of which only the wanted part is converted.

    The picture's sides must be even: swscale then takes the nearest chroma sample, and a part that
    begins and ends between chroma samples comes out bit for bit as in the whole. With an odd height
    it interpolates chroma, with an odd width its last columns may differ.
    """

    def __init__(self, picture: av.VideoFrame, converter: Converter) -> None:
        super().__init__(height=picture.height, width=picture.width)
        self._picture = picture
        self._converter = converter

    def part(
        self, top: int, bottom: int, left: int, right: int
    ) -> UInt8[np.ndarray, "{bottom-top} {right-left} 3"]:
        """Converted anew at every call."""
        first_row, first_column = top // 2 * 2, left // 2 * 2
        rgb = self._converter.part(
            self._picture,
            first_row,
            bottom + bottom % 2,
            first_column,
            right + right % 2,
        )
        return rgb[top - first_row : bottom - first_row, left - first_column : right - first_column]

    def brightness_grid(self, n: int) -> Float32[np.ndarray, "rows columns"]:
        """Luma, stretched to full range but not clipped."""
        luma = sparse(plane_of(self._picture, 0), n).astype(np.float32)
        is_full = (
            self._picture.color_range == ColorRange.JPEG
            or self._picture.format.name in FULL_RANGE_FORMATS
        )
        return luma if is_full else luma * np.float32(255 / LUMA_STEPS)


class WholePicture(Picture):
    """A picture that can only be converted as a whole, which is done when it is first looked at."""

    def __init__(self, height: int, width: int, convert: Callable[[], PixelPicture]) -> None:
        super().__init__(height=height, width=width)
        self._convert = convert
        self._converted: PixelPicture | None = None

    def part(
        self, top: int, bottom: int, left: int, right: int
    ) -> UInt8[np.ndarray, "{bottom-top} {right-left} 3"]:
        """A view of the whole."""
        return self._pixels().part(top, bottom, left, right)

    def brightness_grid(self, n: int) -> Float32[np.ndarray, "rows columns"]:
        """Green pixels."""
        return self._pixels().brightness_grid(n)

    def _pixels(self) -> PixelPicture:
        if self._converted is None:
            self._converted = self._convert()
        return self._converted


class PictureMaker:
    """Makes pictures of what the decoder of one video hands out.

    They are shown as their display matrix says, rounded to quarter turns and mirrorings. It is
    read anew where the turn changes, and not of every picture: PyAV's picture and its list of side
    data hold on to each other, so that its memory would be kept until Python looks for cycles.

    path: of the video, for errors.
    """

    def __init__(self, path: Path) -> None:
        self._converter = Converter(path)
        self._rotation_degrees: int | None = None
        self._orientation: Orientation | None = None

    def make(self, picture: av.VideoFrame) -> Picture:
        """The picture, upright."""
        if picture.rotation != self._rotation_degrees:
            self._rotation_degrees = picture.rotation
            self._orientation = _orientation(picture)
        stored = _stored_picture(picture, self._converter)
        return stored if self._orientation is None else TurnedPicture(stored, self._orientation)


def _stored_picture(picture: av.VideoFrame, converter: Converter) -> Picture:
    name = picture.format.name
    if name in PACKED:
        return PixelPicture(plane_of(picture, 0), order=PACKED[name])
    if name in SUBSAMPLED and picture.height % 2 == picture.width % 2 == 0:
        return SubsampledPicture(picture, converter)
    return WholePicture(
        picture.height, picture.width, lambda: PixelPicture(converter.whole(picture))
    )


def plane_of(picture: av.VideoFrame, index: int) -> np.ndarray:
    """A view of one plane, uint8 (h w) or packed (h w 3), its upper row first."""
    plane = picture.planes[index]
    row_bytes = abs(plane.line_size)
    rows = np.frombuffer(plane, np.uint8).reshape(plane.height, row_bytes)
    if plane.line_size < 0:  # stored from the lowest row up, as AVI files often are
        rows = rows[::-1]
    if picture.format.name in PACKED:
        return rows[:, : 3 * plane.width].reshape(plane.height, plane.width, 3)
    return rows[:, : plane.width]


def _orientation(picture: av.VideoFrame) -> Orientation | None:
    try:
        matrix = picture.side_data.get(SideDataType.DISPLAYMATRIX)
    except ValueError:
        # PyAV cannot list side data of a kind it does not know; the turn can still be had.
        return quarter_turn(picture.rotation) if picture.rotation else None
    return None if matrix is None else read_orientation(np.frombuffer(matrix, dtype=np.int32))
