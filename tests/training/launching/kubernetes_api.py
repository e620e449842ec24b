"""A small Kubernetes: its HTTP API for Jobs, Services and pods, whose pods are local processes.

It speaks the API's own JSON, so the real Python client talks to it, and does with a Job what the
job controller does: a pod for each index, Failed with the first pod that fails (backoffLimit 0)
and SIGTERM to the others, removal with its pods. It has no scheduler, no images and no DNS: a pod
is its container's command, and finds the first pod on this machine.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlparse

KUBECONFIG = """\
apiVersion: v1
kind: Config
current-context: here
clusters: [{{name: here, cluster: {{server: "http://127.0.0.1:{port}"}}}}]
users: [{{name: me, user: {{}}}}]
contexts: [{{name: here, context: {{cluster: here, user: me}}}}]
"""


class Api:
    """State of the cluster."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.jobs: dict[str, dict[str, Any]] = {}
        self.services: dict[str, dict[str, Any]] = {}
        self.pods: dict[str, list[subprocess.Popen[bytes]]] = {}
        self.requests: list[str] = []
        self.down = False

    def create_job(self, job: dict[str, Any]) -> None:
        name, spec = job["metadata"]["name"], job["spec"]
        self.jobs[name] = job
        container = spec["template"]["spec"]["containers"][0]
        given = {e["name"]: e.get("value", "") for e in container["env"]}
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = str(free.getsockname()[1])
        self.pods[name] = []
        for index in range(spec["completions"]):
            own = {"JOB_COMPLETION_INDEX": str(index), "TAGARELA_POD": f"{name}-{index}-abcde"}
            here = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
            with self.log(name, index).open("wb") as log:
                self.pods[name].append(
                    subprocess.Popen(
                        container["command"],
                        env={**os.environ, **given, **own, **here},
                        stdout=log,
                        stderr=subprocess.STDOUT,
                        start_new_session=True,
                    )
                )

    def log(self, name: str, index: int) -> Path:
        return self.folder / f"{name}-{index}.log"

    def job(self, name: str) -> dict[str, Any]:
        statuses = [pod.poll() for pod in self.pods[name]]
        conditions = []
        if any(status for status in statuses):
            self.signal(name, signal.SIGTERM)
            if None not in statuses:
                conditions = [
                    {"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded"}
                ]
        elif all(status == 0 for status in statuses):
            conditions = [{"type": "Complete", "status": "True"}]
        return {**self.jobs[name], "status": {"conditions": conditions}}

    def signal(self, name: str, number: int) -> None:
        for pod in self.pods[name]:
            if pod.poll() is None:
                pod.send_signal(number)

    def delete_job(self, name: str) -> None:
        self.signal(name, signal.SIGTERM)

        def end() -> None:
            for pod in self.pods[name]:
                pod.wait()
            del self.jobs[name]

        threading.Thread(target=end, daemon=True).start()

    def pod_list(self, name: str) -> dict[str, Any]:
        return {
            "apiVersion": "v1",
            "kind": "PodList",
            "items": [self._pod(name, i, pod.poll()) for i, pod in enumerate(self.pods[name])],
        }

    def _pod(self, name: str, index: int, status: int | None) -> dict[str, Any]:
        phase = "Running" if status is None else ("Failed" if status else "Succeeded")
        state: dict[str, Any] = {"running": {}}
        if status is not None:
            reason = "Error" if status else "Completed"
            state = {"terminated": {"exitCode": status, "reason": reason}}
        container = {"name": "ranks", "image": "i", "imageID": "", "ready": True}
        return {
            "metadata": {
                "name": f"{name}-{index}-abcde",
                "annotations": {"batch.kubernetes.io/job-completion-index": str(index)},
            },
            "spec": {"containers": [{"name": "ranks"}]},
            "status": {
                "phase": phase,
                "containerStatuses": [{**container, "restartCount": 0, "state": state}],
            },
        }


def _handler(api: Api) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if self.path.endswith("/jobs"):
                api.create_job(body)
            else:
                api.services[body["metadata"]["name"]] = body
            self._answer(body, 201)

        def do_DELETE(self) -> None:
            kind, name = urlparse(self.path).path.split("/")[-2:]
            if name not in (api.jobs if kind == "jobs" else api.services):
                self._answer({"kind": "Status", "code": 404}, 404)
                return
            if kind == "jobs":
                api.delete_job(name)
            else:
                del api.services[name]
            self._answer({"kind": "Status", "status": "Success"})

        def do_GET(self) -> None:
            url = urlparse(self.path)
            query = {key: value[0].lower() for key, value in parse_qs(url.query).items()}
            if api.down:
                self._answer({"kind": "Status", "code": 503}, 503)
            elif found := re.search(r"/pods/(.+)-(\d)-abcde/log", url.path):
                self._log(found[1], int(found[2]), query)
            elif url.path.endswith("/pods"):
                self._answer(api.pod_list(query["labelSelector"].removeprefix("job-name=")))
            elif (name := url.path.rpartition("/")[2]) in api.jobs:
                self._answer(api.job(name))
            else:
                self._answer({"kind": "Status", "code": 404}, 404)

        def _log(self, name: str, index: int, query: dict[str, str]) -> None:
            if query.get("follow") == "true":
                api.pods[name][index].wait()
            lines = api.log(name, index).read_text().splitlines()
            if "tailLines" in query:
                lines = lines[-int(query["tailLines"]) :]
            if query.get("timestamps") == "true":
                lines = [f"2026-11-21T00:00:00.{n:06d}Z {line}" for n, line in enumerate(lines)]
            self._send("".join(f"{line}\n" for line in lines).encode(), "text/plain", 200)

        def _answer(self, body: dict[str, Any], code: int = 200) -> None:
            self._send(json.dumps(body).encode(), "application/json", code)

        def _send(self, data: bytes, kind: str, code: int) -> None:
            api.requests.append(f"{self.command} {urlparse(self.path).path} {code}")
            self.send_response(code)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    return Handler


@contextmanager
def kubernetes_api(folder: Path) -> Iterator[tuple[Api, Path]]:
    """Serve; yield the state and the path of a kubeconfig."""
    api = Api(folder)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(api))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    config = folder / "kubeconfig"
    config.write_text(KUBECONFIG.format(port=server.server_port))
    try:
        yield api, config
    finally:
        for name in list(api.pods):
            api.signal(name, signal.SIGKILL)
        server.shutdown()
