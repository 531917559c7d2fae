import hashlib
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from physkit.core.errors import InputError, UnknownNameError, WeightsError
from physkit.weights import manifest
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


def serve(monkeypatch: pytest.MonkeyPatch, url: str, content: bytes) -> None:
    entry = KnownWeights(
        name="net",
        model="facephys",
        title="",
        file_name="net.h5",
        origin="",
        url=url,
        sha256=hashlib.sha256(content).hexdigest(),
        licence="",
    )
    monkeypatch.setattr(manifest, "known_weights", lambda: {"net": entry})


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


def test_shipped_weights_are_at_hand_and_are_what_the_manifest_says() -> None:
    shipped = [entry for entry in known_weights().values() if entry.url is None]
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
