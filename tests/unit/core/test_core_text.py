"""Text of other programs is read, or what is wrong with it is shown."""

import pytest

from physkit.core.text import decode_text, encoding_of

TEXT = "pulse: 1\r\ntemperature: 3 µ\n"


@pytest.mark.parametrize(
    "encoding",
    ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"],
)
def test_every_unicode_encoding_is_read_without_its_mark(encoding: str) -> None:
    assert decode_text(TEXT.encode(encoding)) == TEXT


def test_marks_of_joined_files_at_the_start_are_left_out() -> None:
    assert decode_text("\ufeff\ufeff1".encode()) == "1"
    assert decode_text(b"") == ""


def test_numbers_and_zeros_are_not_taken_for_utf_16() -> None:
    assert encoding_of(b"0.1 0.2 0.3\n" * 5) == "utf-8"
    assert encoding_of(bytes(100)) == "utf-8"


def test_another_encoding_is_shown_where_it_is() -> None:
    with pytest.raises(ValueError, match=r"line 2: byte 0xB5, 'µ' in Windows-1252, is not UTF-8"):
        decode_text(TEXT.encode("cp1252"))
    with pytest.raises(ValueError, match="is not UTF-16 text; save the file as UTF-8"):
        decode_text(TEXT.encode("utf-16")[:-1])
