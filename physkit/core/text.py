"""Text as other programs write it: UTF-8, or the UTF-16 of Windows shells, marked or not."""

import codecs

MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
"""Byte-order marks, those first that begin with another one."""
MARK = "\ufeff"
SHARE_OF_ZEROS = 0.4
"""Of the bytes at even or odd places: Latin text in UTF-16 has so many and more in one of both."""


def encoding_of(data: bytes) -> str:
    """The encoding by the byte-order mark, or by the zeros of UTF-16 without one; else UTF-8."""
    for mark, encoding in MARKS:
        if data.startswith(mark):
            return encoding
    n = len(data) // 2
    even, odd = (data[first::2].count(0) > SHARE_OF_ZEROS * n for first in (0, 1))
    if even == odd:
        return "utf-8"
    return "utf-16-be" if even else "utf-16-le"


def decode_text(data: bytes) -> str:
    """The text without its mark. Raises ValueError, which shows the first byte that is none."""
    encoding = encoding_of(data)
    try:
        return data.decode(encoding).lstrip(MARK)
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        byte = data[error.start : error.start + 1]
        told = f"line {line}: byte 0x{byte.hex().upper()}"
        if encoding == "utf-8" and byte >= b"\x80":
            told += f", {byte.decode('cp1252', 'replace')!r} in Windows-1252,"
        name = encoding.upper()
        raise ValueError(f"{told} is not {name} text; save the file as UTF-8") from error
