"""What `physkit serve` hands out, and what it keeps to itself."""

import http.client
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from cards import A_CARD

from physkit.cli import main
from physkit.core.errors import InputError
from physkit.export.target import STATES_FILE
from physkit.face.config import FaceConfig
from physkit.pipelines.serve import ServeConfig, Site, make_server, make_site
from physkit.runtime.engines import tflite_file


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    # files stand in for models here: what is in them is asked for by no test but one
    monkeypatch.setattr(tflite_file, "read_card_text", lambda _: A_CARD.to_json())
    page, artifacts = tmp_path / "page", tmp_path / "artifacts"
    (page / "litert").mkdir(parents=True)
    artifacts.mkdir()
    (page / "index.html").write_text("<!doctype html>")
    (page / "litert" / "a.wasm").write_bytes(b"\0asm")
    (page / "app.js").write_text("1")
    (tmp_path / "secret.txt").write_text("not for the web")
    (page / "link.txt").symlink_to(tmp_path / "secret.txt")
    for name in ("facephys_step_fp32.tflite", STATES_FILE, "face.tflite"):
        (artifacts / name).write_bytes(name.encode())
    return make_site(
        ServeConfig(
            page=str(page),
            artifacts=str(artifacts),
            face=FaceConfig(weights=str(artifacts / "face.tflite")),
        )
    )


@pytest.fixture
def ask(site: Site) -> Iterator["Ask"]:
    with make_server(site, 0) as server:
        thread = threading.Thread(target=server.serve_forever, args=[0.02])
        thread.start()
        yield Ask(server.server_address[1])
        server.shutdown()
        thread.join()


class Ask:
    def __init__(self, port: int) -> None:
        self.port = port

    def __call__(self, address: str, **headers: str) -> tuple[http.client.HTTPResponse, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        connection.request("GET", address, headers=headers)
        answer = connection.getresponse()
        return answer, answer.read()


def test_every_answer_forbids_other_hosts_and_allows_threads(ask: Ask) -> None:
    for address in ("/", "/litert/a.wasm", "/artifacts.json", "/nothing"):
        answer, _ = ask(address)
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "http" not in policy
        assert "unsafe-inline" not in policy
        assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin"
        assert answer.headers["Cross-Origin-Embedder-Policy"] == "require-corp"


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("/", "text/html; charset=utf-8"),
        ("/app.js", "text/javascript; charset=utf-8"),
        ("/litert/a.wasm", "application/wasm"),
        ("/artifacts/facephys_step_fp32.tflite", "application/octet-stream"),
    ],
)
def test_files_have_their_types(address: str, kind: str, ask: Ask) -> None:
    answer, body = ask(address)
    assert (answer.status, answer.headers["Content-Type"]) == (200, kind)
    assert body


def test_the_page_is_told_where_the_artifacts_lie(ask: Ask) -> None:
    _, body = ask("/artifacts.json")
    listing = json.loads(body)
    assert listing["model"] == "artifacts/facephys_step_fp32.tflite"
    for address in listing.values():
        answer, content = ask(f"/{address}")
        assert answer.status == 200
        assert content.decode() == Path(address).name


@pytest.mark.parametrize(
    "address",
    [
        "/../secret.txt",
        "/%2e%2e/secret.txt",
        "/litert/",
        "/litert",
        "/link.txt",
        "/artifacts/",
        "//etc/passwd",
    ],
)
def test_nothing_else_is_handed_out(address: str, ask: Ask) -> None:
    answer, body = ask(address)
    assert answer.status == 404
    assert b"not for the web" not in body
    assert b"root:" not in body


def test_another_sites_name_that_leads_here_reads_nothing(ask: Ask) -> None:
    answer, _ = ask("/", Host="elsewhere.example")
    assert answer.status == 421


def test_what_has_not_changed_is_not_sent_again(ask: Ask) -> None:
    answer, _ = ask("/app.js")
    again, body = ask("/app.js", **{"If-Modified-Since": answer.headers["Last-Modified"]})
    assert (again.status, body) == (304, b"")


def test_without_a_detector_the_page_is_told_so(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PHYSKIT_HOME", str(tmp_path / "empty"))
    config = ServeConfig(page=str(site.page), artifacts=str(site.model))
    assert make_site(config).listing()["detector"] is None


@pytest.mark.parametrize(
    "change",
    [{"form": "chunk", "n_frames": 16}, {"fixed_dt_s": 1 / 30}, {"artifact_format": 0}],
)
def test_a_model_that_the_page_cannot_run_is_refused(
    change: dict[str, object], site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = json.dumps(json.loads(A_CARD.to_json()) | change)
    monkeypatch.setattr(tflite_file, "read_card_text", lambda _: card)
    with pytest.raises(InputError, match="export"):
        make_site(ServeConfig(page=str(site.page), artifacts=str(site.model)))


def test_a_taken_port_is_named(site: Site) -> None:
    with (
        make_server(site, 0) as server,
        pytest.raises(InputError, match="choose another"),
    ):
        make_server(site, server.server_address[1])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--page", "{tmp}/none"], "make web"),
        (["--page", "{tmp}/page", "--artifacts", "{tmp}/none"], "physkit export"),
        (["--page", "{tmp}/page", "--artifacts", "{tmp}/secret.txt"], STATES_FILE),
        (
            ["--page", "{tmp}/page", "--artifacts", "{tmp}/artifacts", "--face.weights", "no"],
            "blaze_face_short_range.tflite",
        ),
        (["--port", "70000"], "0 to 65535"),
        (["--weights", "a", "--artifacts", "b"], "one of them"),
    ],
)
@pytest.mark.usefixtures("site")
def test_what_is_missing_is_said_in_one_line(
    words: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["serve", *(word.format(tmp=tmp_path) for word in words)]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1
