"""`physkit serve`: the web page and the network it runs, to this computer's own browser."""

import contextlib
import io
import json
import sys
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from physkit.core.errors import InputError
from physkit.face.config import AUTO, FaceConfig

HOST = "127.0.0.1"
PAGE = Path(__file__).parents[2] / "web" / "dist"
"""Where `make web` builds the page."""
ARTIFACT_LIST = "artifacts.json"
"""What the page asks for first: the addresses of the files below."""
ARTIFACTS = "artifacts/"
"""Address of the network, its states and the face detector."""
PRECISIONS = ("fp32", "int8", "fp16")
"""Of several artifacts in a folder the first of these is taken: in Chromium int8 is no faster than
fp32, and fp16 is slowest, since the web runtime widens its weights at every frame."""

POLICY = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; "
    "connect-src 'self'; style-src 'self'; img-src 'self'; media-src 'self' blob:; "
    "manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    # the two by which a page may use several threads of WebAssembly
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".wasm": "application/wasm",
    ".webmanifest": "application/manifest+json",
    "": "application/octet-stream",
}


@dataclass(frozen=True)
class ServeConfig:
    """Serves the web page on this computer, for its own browser. Ends at Ctrl-C."""

    port: int = 8000
    """Port on 127.0.0.1; 0 takes any free one."""
    weights: str | None = None
    """FacePhys weights to export for the page, once; by default those at hand."""
    artifacts: str | None = None
    """What `physkit export --targets litert` wrote, instead of weights: its folder, or one .tflite
    file in it."""
    face: FaceConfig = field(default_factory=FaceConfig)
    """Face detector for the page: blazeface, by default as `physkit weights pull blazeface` left
    it. Without it the user keeps the face in a frame."""
    page: str | None = None
    """Folder of the built page; by default where `make web` builds it."""

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65535:
            raise InputError(f"--port {self.port}: must be 0 to 65535")
        if self.face.detector not in (AUTO, "blazeface"):
            raise InputError(f"--face.detector {self.face.detector}: the page runs blazeface alone")
        if self.weights and self.artifacts:
            raise InputError("--weights and --artifacts: give one of them")


@dataclass(frozen=True)
class Site:
    """What is served."""

    page: Path
    """Folder of the built page."""
    model: Path
    """The one-frame step for LiteRT."""
    states: Path
    """Its states before the first frame."""
    detector: Path | None
    """The face detector; None where none is at hand."""

    def artifacts(self) -> dict[str, Path]:
        """Files that lie outside of the page, by address."""
        files = {ARTIFACTS + path.name: path for path in (self.model, self.states)}
        if self.detector:
            files[ARTIFACTS + self.detector.name] = self.detector
        return files

    def listing(self) -> dict[str, str | None]:
        """The content of `artifacts.json`."""
        return {
            "model": ARTIFACTS + self.model.name,
            "states": ARTIFACTS + self.states.name,
            "detector": ARTIFACTS + self.detector.name if self.detector else None,
        }


@dataclass(frozen=True)
class ServeResult:
    """What was served, when it ended."""

    url: str
    """Address of the page."""
    site: Site = field(repr=False)
    """What was served there."""

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        detector = self.site.detector
        return {
            "url": self.url,
            "model": str(self.site.model),
            "detector": str(detector) if detector else None,
        }

    def lines(self) -> list[str]:
        """One line: all else was told when it began."""
        return [f"{self.url} is no longer served"]


def run(config: ServeConfig, *, progress: bool = False) -> ServeResult:
    """Serve until Ctrl-C. Raises InputError as `make_site` and `make_server` do.

    progress: tell the address, and what is served there, on standard error.
    """
    site = make_site(config)
    with make_server(site, config.port) as server:
        url = address(server)
        if progress:
            sys.stderr.write("\n".join(_welcome(site, url)) + "\n")
            sys.stderr.flush()
        with contextlib.suppress(KeyboardInterrupt):  # how it is meant to end
            server.serve_forever()
    return ServeResult(url, site)


def _welcome(site: Site, url: str) -> list[str]:
    detector = site.detector or (
        "none: the user keeps the face in a frame (physkit weights pull blazeface brings one)"
    )
    return [f"{url}  (Ctrl-C ends)", f"    network   {site.model}", f"    detector  {detector}"]


def make_site(config: ServeConfig) -> Site:
    """What to serve. Raises InputError for a page that is not built, and for missing files."""
    page = Path(config.page) if config.page else PAGE
    if not (page / "index.html").is_file():
        raise InputError(
            f"{page}: the page is not built; run make web, "
            "which is cd web && npm ci && npm run build (or give --page)"
        )
    model = _find_model(Path(config.artifacts)) if config.artifacts else _export(config.weights)
    _check_model(model)
    return Site(page, model, _states_beside(model), _find_detector(config.face.weights))


def _find_model(place: Path) -> Path:
    """The .tflite file that is given, or the best in a folder."""
    if place.is_file():
        return place
    for precision in PRECISIONS:
        path = place / f"facephys_step_{precision}.tflite"
        if path.is_file():
            return path
    raise InputError(
        f"{place}: no facephys_step_*.tflite; make one by physkit export --targets litert"
    )


def _check_model(model: Path) -> None:
    """Raises InputError for a file that the page cannot run: it would show in the browser only."""
    from physkit.core.artifact import ArtifactCard
    from physkit.runtime.engines.tflite_file import read_card_text

    card = ArtifactCard.from_json(read_card_text(model), path=str(model))
    if card.form != "step" or card.fixed_dt_s is not None:
        raise InputError(
            f"{model}: the page takes one frame a call, at its true time; give a step exported "
            "without --chunks and --fps"
        )


def _states_beside(model: Path) -> Path:
    from physkit.export.target import STATES_FILE

    path = model.parent / STATES_FILE
    if not path.is_file():
        raise InputError(f"{path}: no such file; physkit export writes it beside {model.name}")
    return path


def _export(weights: str | None) -> Path:
    """The artifact of a weights file, made at the first time and kept."""
    from physkit.core.artifact import ARTIFACT_FORMAT
    from physkit.core.files import cache_folder
    from physkit.export import TARGETS
    from physkit.export.target import ExportRequest, write_states
    from physkit.inference.inference import load_deployable

    net, checksum = load_deployable(weights)
    request = ExportRequest(weights_sha256=checksum)
    folder = cache_folder() / "web" / f"{checksum[:16]}-{ARTIFACT_FORMAT}"
    model = folder / request.file_name(".tflite")
    if not model.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        write_states(folder, net, checksum)
        TARGETS["litert"]().write(net, request, model)
    return model


def _find_detector(given: str | None) -> Path | None:
    from physkit.weights.manifest import find_weights

    if given is None:
        return find_weights("blazeface")
    path = Path(given)
    if not path.is_file():
        raise InputError(f"{path}: no such file; give blaze_face_short_range.tflite")
    return path


def make_server(site: Site, port: int) -> ThreadingHTTPServer:
    """A server of the site that waits to be run. Raises InputError for a port that is taken."""
    try:
        return _Server((HOST, port), partial(_Handler, site=site))
    except OSError as error:
        raise InputError(
            f"--port {port}: {error.strerror}; choose another, or 0 for any free one"
        ) from error


def address(server: ThreadingHTTPServer) -> str:
    """Where the page is."""
    return f"http://{HOST}:{server.server_address[1]}/"


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that hangs up is no error."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(SimpleHTTPRequestHandler):
    """Files of the page and the artifacts; nothing else of this computer."""

    protocol_version = "HTTP/1.1"
    extensions_map = TYPES

    def __init__(self, *args: Any, site: Site, **kwargs: Any) -> None:
        self._site = site
        self._artifacts = site.artifacts()
        super().__init__(*args, directory=str(site.page), **kwargs)

    def send_head(self) -> Any:
        """Headers of the answer, and the open file where there is one."""
        if not self._is_ours():
            self.send_error(HTTPStatus.MISDIRECTED_REQUEST)
            return None
        if _name(self.path) == ARTIFACT_LIST:
            return self._send_listing()
        try:
            is_file = Path(self.translate_path(self.path)).is_file()  # a folder is not listed
        except OSError:  # such as a name that is too long
            is_file = False
        if not is_file:
            self.send_error(HTTPStatus.NOT_FOUND)
            return None
        if _name(self.path) in self._artifacts:
            # Other weights may lie there now, and be older: a time does not tell them apart.
            del self.headers["If-Modified-Since"]
        return super().send_head()

    def translate_path(self, path: str) -> str:
        """The file of an address; one that cannot be, for an address outside of the page."""
        name = _name(path)
        if name in self._artifacts:
            return str(self._artifacts[name])
        root = self._site.page.resolve()
        file = (root / (name or "index.html")).resolve()
        return str(file if file.is_relative_to(root) else root / "?")

    def end_headers(self) -> None:
        """What every answer carries."""
        for name, value in HEADERS.items():
            self.send_header(name, value)
        super().end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Nothing: the terminal is the user's."""

    def _is_ours(self) -> bool:
        """Whether it was asked for by this computer's name: another site's name that leads here
        could read the files."""
        try:
            host = urlsplit(f"//{self.headers.get('Host', '')}").hostname
        except ValueError:
            return False
        return host in (HOST, "localhost")

    def _send_listing(self) -> Any:
        body = json.dumps(self._site.listing()).encode()
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", TYPES[".json"])
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        return io.BytesIO(body)


def _name(path: str) -> str:
    """What is asked for, without the leading slash."""
    return unquote(urlsplit(path).path).lstrip("/").replace("\0", "")
