"""Files that are written whole or not at all."""

import os
import stat
from pathlib import Path

import pytest

from physkit.core.errors import InputError
from physkit.core.files import whole_file


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o007, 0o660), (0o077, 0o600)])
def test_the_umask_says_who_may_read(umask: int, mode: int, tmp_path: Path) -> None:
    before = os.umask(umask)
    try:
        with whole_file(tmp_path / "a") as unfinished:
            unfinished.write_bytes(b"a")
            unfinished.chmod(0o600)  # as safetensors does
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == mode


def test_an_error_leaves_nothing_and_keeps_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("old")

    def fail(unfinished: Path) -> None:
        unfinished.write_text("half")
        raise RuntimeError

    with pytest.raises(RuntimeError), whole_file(tmp_path / "a") as unfinished:
        fail(unfinished)
    assert [p.name for p in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_text() == "old"
    with pytest.raises(InputError, match="cannot be written"), whole_file(tmp_path / "no" / "a"):
        pass
