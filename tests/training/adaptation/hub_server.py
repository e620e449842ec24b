"""A server that answers as the hub does for what ``snapshot_download`` asks: model information,
the tree of a commit, and files by HEAD and GET, large ones behind a redirect."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@contextmanager
def serve_model(name: str, folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Serve ``folder`` as the model ``name``; yield the endpoint and the requests so far."""
    requests: list[str] = []

    class Hub(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self._answer(body=False)

        def do_GET(self) -> None:
            self._answer(body=True)

        def log_message(self, format: str, *args: object) -> None:
            pass

        def _answer(self, *, body: bool) -> None:
            path = unquote(urlsplit(self.path).path)
            requests.append(f"{self.command} {path}")
            files = {p.name: p for p in folder.iterdir() if p.is_file()}
            api, resolve = f"/api/models/{name}", f"/{name}/resolve/{COMMIT}/"
            if path in (api, *(f"{api}/revision/{r}" for r in ("main", COMMIT))):
                siblings = [{"rfilename": file} for file in sorted(files)]
                self._json({"id": name, "sha": COMMIT, "siblings": siblings}, body)
            elif path == f"{api}/tree/{COMMIT}":
                self._json([_entry(files[file]) for file in sorted(files)], body)
            elif path.startswith(resolve) and path.removeprefix(resolve) in files:
                self._file(files[path.removeprefix(resolve)], body)
            elif path.startswith("/cdn/"):
                self._send(200, files[path.removeprefix("/cdn/")].read_bytes(), {}, body)
            else:
                self._send(404, b"", {"X-Error-Code": "RepoNotFound"}, body)

        def _json(self, value: object, body: bool) -> None:
            content = json.dumps(value).encode()
            self._send(200, content, {"Content-Type": "application/json"}, body)

        def _file(self, file: Path, body: bool) -> None:
            content = file.read_bytes()
            headers = {"ETag": f'"{_etag(file)}"', "X-Repo-Commit": COMMIT}
            if file.suffix == ".safetensors":
                headers |= {
                    # Another host than the hub's: its client follows it for the content alone.
                    "Location": f"http://localhost:{server.server_port}/cdn/{file.name}",
                    "X-Linked-Etag": f'"{_etag(file)}"',
                    "X-Linked-Size": str(len(content)),
                }
                self._send(302, b"", headers, body)
            else:
                self._send(200, content, headers, body)

        def _send(self, status: int, content: bytes, headers: dict[str, str], body: bool) -> None:
            self.send_response(status)
            for key, value in headers.items():
                self.send_header(key, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if body:
                self.wfile.write(content)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    endpoint = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield endpoint, requests
    finally:
        server.shutdown()
        server.server_close()


def _entry(file: Path) -> dict[str, object]:
    size = file.stat().st_size
    entry: dict[str, object] = {"type": "file", "path": file.name, "size": size, "oid": _etag(file)}
    if file.suffix == ".safetensors":
        entry["lfs"] = {"oid": _etag(file), "size": size, "pointerSize": 134}
    return entry


def _etag(file: Path) -> str:
    content = file.read_bytes()
    if file.suffix == ".safetensors":
        return hashlib.sha256(content).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
