"""Text as other programs write it: UTF-8, or the UTF-16 of Windows shells, marked or not."""

import codecs

MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
)
MARK = "\ufeff"
ZEROS, ZEROS_BEHIND_MARK = 0.4, 0.1
"""Share of the upper bytes of UTF-16 that are 0, without a mark and with one. Latin has more."""


def encoding_of(data: bytes) -> str:
    """The encoding: by the byte-order mark, by the zeros that UTF-16 is full of, or else UTF-8."""
    for mark, encoding in MARKS:
        if data.startswith(mark):
            return encoding
    n = max(len(data) // 2, 1)
    even, odd = (data[first::2].count(0) / n for first in (0, 1))
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        upper = odd if data.startswith(codecs.BOM_UTF16_LE) else even
        return "utf-16" if upper > ZEROS_BEHIND_MARK else "utf-8"
    if (even > ZEROS) == (odd > ZEROS):
        return "utf-8"
    return "utf-16-be" if even > odd else "utf-16-le"


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
