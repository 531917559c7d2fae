"""MATLAB files: values and videos of both versions, damage named, memory bounded."""

import contextlib
import resource
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mat_files import (
    FORMATS,
    deflated,
    element,
    mat5,
    matrix,
    sparse_video,
    write_mat,
    write_mat73,
)

from physkit.core.errors import InputError
from physkit.data.formats import matlab_video
from physkit.data.formats.mat import open_mat
from physkit.data.formats.matlab_video import MatVideo
from physkit.data.formats.matlab_writer import new_mat
from physkit.media.frames import Frame

RNG = np.random.default_rng(0)
LEVELS = RNG.integers(0, 256, (50, 8, 6, 3), dtype=np.uint8)
VIDEO = (LEVELS / 255).astype(np.float32)

every_form = pytest.mark.parametrize("form", FORMATS)


def frames_of(path: Path, variable: str = "video") -> np.ndarray:
    with MatVideo(path, variable, fps=30.0) as source:
        assert source.n_frames is not None
        frames = list(source)
        assert len(frames) == source.n_frames
    np.testing.assert_allclose([f.timestamp_s for f in frames], np.arange(len(frames)) / 30)
    assert all(frame.rgb.flags.c_contiguous for frame in frames)
    return np.stack([frame.rgb for frame in frames])


@every_form
def test_small_variables_are_read_as_matlab_shows_them(tmp_path, form):
    table = np.arange(6.0).reshape(2, 3)
    variables = {
        "table": table,
        "count": np.array([[7]], np.int32),
        "single": np.array([[0.5, 1.5, 2.5]], np.float32),
        "flag": np.array([[True]]),
        "light": "LED-low",
        "PPG": {"fs": np.array([[60.0]]), "data": np.arange(5.0)[:, None], "note": "finger"},
    }
    with open_mat(write_mat(tmp_path / "a.mat", form, variables)) as mat:
        assert set(mat.names) == set(variables)
        np.testing.assert_array_equal(mat.read("table"), table)
        assert mat.read("count").item() == 7
        np.testing.assert_array_equal(mat.signal("single"), [0.5, 1.5, 2.5])
        assert mat.signal("single").dtype == np.float64
        assert bool(mat.read("flag").item()) is True
        assert mat.read("light") == "LED-low"
        assert mat.read("PPG.fs").item() == 60
        np.testing.assert_array_equal(mat.signal("PPG.data"), np.arange(5.0))
        assert mat.read("PPG.note") == "finger"
        assert mat.get("absent") is None
        assert mat.get("PPG.absent") is None
        assert mat.header("light") is None
        header = mat.header("table")
        assert header is not None
        assert header.shape == (2, 3)
        with pytest.raises(InputError, match=r"no variable 'absent' in it, but .*table.*; copy"):
            mat.read("absent")
        with pytest.raises(InputError, match="'PPG' is a struct"):
            mat.read("PPG")


@every_form
@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (np.zeros((0, 0)), "holds 0 values"),
        (np.array([[1.0]]), "holds 1 values"),
        (np.zeros((3, 4)), "has shape (3, 4)"),
        (np.array([[1.0, np.nan, np.inf, 2.0]]), "NaN or infinity in 2 of 4 places, first in 1"),
        ("text", "no signal of real numbers"),
    ],
)
def test_what_is_no_signal_is_named(tmp_path, form, value, problem):
    path = write_mat(tmp_path / "a.mat", form, {"GT_ppg": value})
    with open_mat(path) as mat, pytest.raises(InputError, match=r"a\.mat: 'GT_ppg'") as caught:
        mat.signal("GT_ppg")
    assert problem in str(caught.value)


def test_a_complex_variable_is_no_signal(tmp_path):
    scipy.io.savemat(tmp_path / "a.mat", {"x": np.array([1 + 2j, 3])})
    with open_mat(tmp_path / "a.mat") as mat:
        np.testing.assert_array_equal(mat.read("x"), [[1 + 2j, 3]])
        with pytest.raises(InputError, match="no signal of real numbers"):
            mat.signal("x")


def test_a_cell_array_is_named_and_those_after_it_are_read(tmp_path):
    cells = np.array(["a", "b"], dtype=object)
    scipy.io.savemat(tmp_path / "a.mat", {"cells": cells, "PPG": {"peaks": cells, "fs": 60.0}})
    with open_mat(tmp_path / "a.mat") as mat:
        assert mat.read("PPG.fs").item() == 60
        with pytest.raises(InputError, match="'cells' is a cell array"):
            mat.read("cells")


@pytest.mark.parametrize("order", ["<", ">"])
def test_both_byte_orders_and_numbers_stored_smaller_than_they_are(tmp_path, order):
    doubles = element(9, struct.pack(f"{order}3d", 1.5, 2.5, 3.5), order)
    bytes_ = element(2, bytes([5, 6, 7, 8, 9]), order)
    (tmp_path / "a.mat").write_bytes(
        mat5(
            matrix("wide", (1, 3), doubles, kind=6, order=order),
            matrix("narrow", (5, 1), bytes_, kind=6, order=order),
            order=order,
        )
    )
    with open_mat(tmp_path / "a.mat") as mat:
        np.testing.assert_array_equal(mat.signal("wide"), [1.5, 2.5, 3.5])
        np.testing.assert_array_equal(mat.signal("narrow"), [5, 6, 7, 8, 9])


@every_form
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint8])
def test_a_video_is_streamed_bit_for_bit(tmp_path, form, dtype):
    video = LEVELS if dtype == np.uint8 else (LEVELS / 255).astype(dtype)
    variables = {"before": np.arange(3.0), "video": video, "after": "x"}
    path = write_mat(tmp_path / "a.mat", form, variables)
    np.testing.assert_array_equal(frames_of(path), LEVELS)


@pytest.mark.parametrize(
    "layout",
    [
        {"chunks": (1, 2, 3, 7)},
        {"chunks": (3, 6, 8, 4), "compression": "gzip"},
        {"chunks": (2, 4, 8, 50), "compression": "gzip", "shuffle": True},
        {},
    ],
    ids=["small", "of whole frames", "of all time", "none"],
)
@pytest.mark.parametrize("direct_bytes", [1 << 26, 500])
def test_chunks_of_any_shape_give_the_same_frames(tmp_path, monkeypatch, layout, direct_bytes):
    monkeypatch.setattr(matlab_video, "DIRECT_BYTES", direct_bytes)
    monkeypatch.setattr(matlab_video, "STRETCH_BYTES", 2000)
    path = write_mat73(tmp_path / "a.mat", {"video": VIDEO}, **layout)
    np.testing.assert_array_equal(frames_of(path), LEVELS)


@every_form
def test_parts_smaller_than_the_video_give_the_same_frames(tmp_path, monkeypatch, form):
    for module in ("matlab5", "matlab73"):
        monkeypatch.setattr(f"physkit.data.formats.{module}.PART_BYTES", 3 * 50 * 4)
    path = write_mat(tmp_path / "a.mat", form, {"video": VIDEO})
    np.testing.assert_array_equal(frames_of(path), LEVELS)


@every_form
@pytest.mark.parametrize("worst", [1.5, -0.1, np.nan, np.inf, 255.0])
def test_values_out_of_range_are_named(tmp_path, form, worst):
    video = VIDEO.copy()
    video[20, 3, 2, 1] = worst
    path = write_mat(tmp_path / "a.mat", form, {"video": video})
    with (
        MatVideo(path, "video", fps=30.0) as source,
        pytest.raises(InputError, match=r"a\.mat: 'video' has values from .*floats from 0 to 1"),
    ):
        list(source)


@every_form
def test_values_rounded_beyond_their_range_are_taken(tmp_path, form):
    video = np.where(LEVELS < 128, np.float32(-1e-7), np.float32(1.0000001))
    path = write_mat(tmp_path / "a.mat", form, {"video": video})
    np.testing.assert_array_equal(frames_of(path), np.where(LEVELS < 128, 0, 255))


@every_form
@pytest.mark.parametrize(
    "shape", [(50, 8, 6), (50, 3, 8, 6), (50, 8, 6, 4), (1, 8, 6, 3), (8, 6, 3, 50)]
)
def test_a_video_of_another_shape_is_named(tmp_path, form, shape):
    path = write_mat(tmp_path / "a.mat", form, {"video": np.zeros(shape, np.float32)})
    with pytest.raises(InputError, match=r"\(frames, height, width, 3\)"):
        MatVideo(path, "video", fps=30.0)


@every_form
def test_a_video_of_another_type_or_name_is_named(tmp_path, form):
    path = write_mat(tmp_path / "a.mat", form, {"video": LEVELS.astype(np.int16), "text": "a"})
    with pytest.raises(InputError, match="is int16 of shape"):
        MatVideo(path, "video", fps=30.0)
    for name in ("text", "absent"):
        with pytest.raises(InputError, match=f"no variable '{name}'"):
            MatVideo(path, name, fps=30.0)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "only 0 bytes long"),
        (b"MATLAB 5.0", "only 10 bytes long"),
        (b"time,pulse\n" * 40, "not a MATLAB file"),
        (b"this is a long line of prose and nothing else " * 10, "a text, not a MATLAB file"),
        (bytes(range(256)), "not a MATLAB file"),
        (b"\x89HDF\r\n\x1a\n" + bytes(600), "an HDF5 file that is not MATLAB's"),
    ],
)
def test_what_is_no_matlab_file_is_named(tmp_path, content, problem):
    (tmp_path / "a.mat").write_bytes(content)
    with pytest.raises(InputError, match=r"a\.mat: .*version 5 or 7\.3 is needed") as caught:
        open_mat(tmp_path / "a.mat")
    assert problem in str(caught.value)
    assert "\n" not in str(caught.value)


def test_other_versions_and_places_are_named(tmp_path):
    scipy.io.savemat(tmp_path / "v4.mat", {"video": np.zeros((9, 9))}, format="4")
    with pytest.raises(InputError, match="version 4"):
        open_mat(tmp_path / "v4.mat")
    with h5py.File(tmp_path / "h5.mat", "w") as file:
        file["video"] = VIDEO
    with pytest.raises(InputError, match="not MATLAB's"):
        open_mat(tmp_path / "h5.mat")
    with pytest.raises(InputError, match=r"absent\.mat: no such file"):
        open_mat(tmp_path / "absent.mat")
    with pytest.raises(InputError, match="unreadable"):
        open_mat(tmp_path)


@every_form
def test_a_file_cut_short_anywhere_is_named(tmp_path, form):
    variables = {"light": "LED-low", "video": VIDEO, "GT_ppg": np.arange(50.0)}
    whole = write_mat(tmp_path / "whole.mat", form, variables).read_bytes()
    path = tmp_path / "a.mat"
    for part in np.linspace(0, 1, 40, endpoint=False):
        path.write_bytes(whole[: int(part * len(whole))])
        with pytest.raises(InputError, match=r"a\.mat: "):
            frames_of(path)


def test_a_changed_byte_in_deflated_values_is_named(tmp_path):
    path = write_mat(tmp_path / "a.mat", "v5-deflated", {"video": LEVELS})
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x10
    path.write_bytes(content)
    with pytest.raises(InputError, match="damaged MATLAB file"):
        frames_of(path)


def read_all(path: Path) -> None:
    """Whatever a reader would, of any file."""
    with open_mat(path) as mat:
        for name in (*mat.names, "video", "PPG.data"):
            try:
                mat.get(name)
            except InputError:
                continue
    frames_of(path)


HEADS = [b"", mat5(), b"MATLAB 7.3 MAT-file".ljust(116) + bytes(8) + b"\x00\x02IM" + bytes(384)]


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(head=st.sampled_from([*HEADS, HEADS[-1] + b"\x89HDF\r\n\x1a\n"]), rest=st.binary())
def test_arbitrary_bytes_are_refused_in_one_line(tmp_path, head, rest):
    path = tmp_path / "a.mat"
    path.write_bytes(head + rest)
    with pytest.raises(InputError, match=r"a\.mat: "):
        read_all(path)


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    form=st.sampled_from(("v5", "v5-deflated")),
    place=st.floats(0, 1, exclude_max=True),
    replaced=st.binary(min_size=1, max_size=8),
)
def test_a_damaged_file_is_read_or_refused(tmp_path, form, place, replaced):
    variables = {"video": VIDEO[:4], "PPG": {"fs": 60.0, "data": np.arange(9.0)}, "light": "LED"}
    content = write_mat(tmp_path / "a.mat", form, variables).read_bytes()
    start = int(place * len(content))
    damaged = content[:start] + replaced + content[start + len(replaced) :]
    (tmp_path / "a.mat").write_bytes(damaged)
    with contextlib.suppress(InputError):
        read_all(tmp_path / "a.mat")


def test_the_temporary_file_goes_even_when_reading_stops_early(tmp_path, monkeypatch):
    path = write_mat(tmp_path / "a.mat", "v5", {"video": VIDEO})
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    with MatVideo(path, "video", fps=30.0) as source:
        next(iter(source))
    assert not list(scratch.iterdir())
    source.close()


def test_a_full_disk_is_named(tmp_path):
    path = write_mat(tmp_path / "a.mat", "v5", {"video": VIDEO})
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with (
            MatVideo(path, "video", fps=30.0) as source,
            pytest.raises(InputError, match=r"a\.mat: its frames need .* MB in .*TMPDIR"),
        ):
            list(source)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_written_file_reads_back_and_has_matlabs_header(tmp_path, monkeypatch):
    monkeypatch.setattr("physkit.data.formats.matlab_writer.CHUNK_BYTES", 8 * 6 * 3 * 4 * 7)
    with new_mat(tmp_path / "a.mat") as mat:
        pictures = (Frame(levels, index / 30) for index, levels in enumerate(LEVELS))
        assert mat.video("video", pictures, size_px=(6, 8)) == 50
        mat.signal("GT_ppg", np.arange(50) / 7)
        mat.text("light", "LED-low")
        mat.number("skin_color", 4)
    head = (tmp_path / "a.mat").read_bytes()[:128]
    assert head.startswith(b"MATLAB 7.3 MAT-file")
    assert head[124:] == b"\x00\x02IM"
    with h5py.File(tmp_path / "a.mat") as file:
        assert file["video"].shape == (3, 6, 8, 50)
        classes = {name: item.attrs["MATLAB_class"] for name, item in file.items()}
    assert classes == {
        "video": b"single",
        "GT_ppg": b"double",
        "light": b"char",
        "skin_color": b"double",
    }
    np.testing.assert_array_equal(frames_of(tmp_path / "a.mat"), LEVELS)
    with open_mat(tmp_path / "a.mat") as mat:
        np.testing.assert_array_equal(mat.read("GT_ppg"), np.arange(50)[None] / 7)
        assert mat.read("light") == "LED-low"
        assert mat.read("skin_color").item() == 4


MEASURE = """
import sys
from pathlib import Path
from physkit.data.formats.matlab_video import MatVideo
def peak_mb():
    (line,) = (line for line in open("/proc/self/status") if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024
import h5py
before = peak_mb()
with MatVideo(Path(sys.argv[1]), "video", fps=30.0) as source:
    n = sum(1 for frame in source)
print(n, peak_mb() - before)
"""


@pytest.mark.slow
@every_form
def test_a_video_of_300_mb_is_read_in_under_100(tmp_path, form):
    shape = (600, 240, 180, 3)
    if form == "v7.3":
        path = tmp_path / "a.mat"
        with new_mat(path) as mat:
            black = np.zeros(shape[1:], np.uint8)
            mat.video(
                "video", (Frame(black, index / 30) for index in range(600)), size_px=(180, 240)
            )
    else:
        path = sparse_video(tmp_path / "a.mat", shape)
    if form == "v5-deflated":
        path = deflated(path, tmp_path / "b.mat")
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(path)], capture_output=True, text=True, check=True
    )
    n_frames, taken_mb = done.stdout.split()
    assert int(n_frames) == 600
    assert float(taken_mb) < 100
