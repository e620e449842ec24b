"""Ranks as a Job: manifests against the client's own models, and the whole way over real HTTP.

The cluster is kubernetes_api.py; nothing here has met a real one.
"""

from __future__ import annotations

import json
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tagarela_dagster.training.launching.backend import is_running, run_ranks
from tagarela_dagster.training.launching.failure import TrainingError
from tagarela_dagster.training.launching.kubernetes_job import job_manifest, service_manifest
from tagarela_dagster.training.launching.settings import Kubernetes
from tests.training.launching.kubernetes_api import Api, kubernetes_api
from tests.training.launching.ranks import MODULE
from tests.training.process_tree import wait_until_gone

kubernetes: Any = pytest.importorskip(
    "kubernetes", reason="kubernetes is not installed: pip install 'tagarela[kubernetes]'"
)
FULL = Kubernetes(
    image="registry.example/tagarela:1",
    claim="home",
    mount="/home",
    nodes=8,
    gpus_per_node=8,
    cpus_per_node=64,
    memory_gb=900,
    service_account="trainer",
    pull_secret="registry",
    environment_secret="trackers",
    node_selector="accelerator:h100",
)


def manifest(settings: Kubernetes = FULL, run: Path = Path("/home/runs/a")) -> dict[str, Any]:
    return job_manifest(
        "m",
        ["--out", "x"],
        run=run,
        processes=64,
        settings=settings,
        name="tagarela-0a1b-0",
        environment={"A": "b"},
    )


def as_model(body: dict[str, Any], kind: str) -> Any:
    """The manifest as the client's model, which knows every field; unknown ones get lost."""
    client = kubernetes.client.ApiClient()
    model = client._ApiClient__deserialize(body, kind)
    assert client.sanitize_for_serialization(model) == body
    return model


def test_the_manifests_are_what_the_kubernetes_models_know() -> None:
    job = as_model(manifest(), "V1Job")
    assert (job.spec.completion_mode, job.spec.completions, job.spec.backoff_limit) == (
        "Indexed",
        8,
        0,
    )
    pod = job.spec.template.spec
    (container,) = pod.containers
    assert container.resources.limits["nvidia.com/gpu"] == "8"
    assert container.command[-5:] == ["8", "8", "m", "--out", "x"]
    variables = {e.name: e.value for e in container.env}
    assert variables["MASTER_ADDR"] == "tagarela-0a1b-0-0.tagarela-0a1b-0"
    service = as_model(service_manifest("tagarela-0a1b-0"), "V1Service")
    assert service.spec.cluster_ip == "None" and pod.subdomain == service.metadata.name
    assert (pod.termination_grace_period_seconds, pod.restart_policy) == (120, "Never")


def test_what_the_job_needs_is_asked_for_in_a_sentence() -> None:
    with pytest.raises(TrainingError, match="TAGARELA_TRAINER_SETTINGS lacks image, claim, mount"):
        manifest(Kubernetes())
    with pytest.raises(TrainingError, match="/elsewhere/a is not below mount = /home"):
        manifest(run=Path("/elsewhere/a"))


@pytest.fixture
def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    monkeypatch.setenv("TAGARELA_TRAINER", "kubernetes")
    settings = f"image=i,claim=c,mount={tmp_path},nodes=2,poll=0.2,python={sys.executable}"
    monkeypatch.setenv("TAGARELA_TRAINER_SETTINGS", settings)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    with kubernetes_api(tmp_path) as (state, config):
        monkeypatch.setenv("KUBECONFIG", str(config))
        monkeypatch.setattr(
            kubernetes.config.kube_config, "KUBE_CONFIG_DEFAULT_LOCATION", str(config)
        )
        yield state


def steps(run: Path) -> list[int]:
    path = run / "steps.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    return [json.loads(line)["step"] for line in lines]


@pytest.mark.train
def test_an_evicted_pod_has_all_ranks_save_and_the_next_job_goes_on(
    api: Api, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    run.mkdir()
    evicted: list[str] = []

    def evict() -> None:
        if len(steps(run)) >= 3 and not evicted:
            (name,) = api.jobs
            assert is_running(run)
            evicted.append(name)
            api.pods[name][1].send_signal(signal.SIGTERM)

    run_ranks(MODULE, [str(run), "30", "0.15"], run=run, processes=2, on_poll=evict)
    assert steps(run) == list(range(1, 31)), "no step is lost, none is done twice"
    first, second = api.pods
    assert evicted == [first] and second == first.removesuffix("0") + "1"
    other, told = (pod.poll() for pod in api.pods[first])
    # The other pod has saved too; the job's removal may still meet it on its way out.
    assert told == 75 and other in (75, -signal.SIGTERM)
    assert [pod.poll() for pod in api.pods[second]] == [0, 0]
    assert "from step" in (run / "log.txt").read_text() and (run / "log-1.txt").exists()
    assert not api.jobs and not api.services and not (run / "kubernetes.json").exists()


def leave_job(api: Api, run: Path, script: str) -> None:
    """A Job of an earlier launcher; its pods run ``script`` instead of ranks."""
    left = manifest(Kubernetes(image="i", claim="c", mount="/", nodes=2), run)
    command = [sys.executable, "-c", script, str(run)]
    left["spec"]["template"]["spec"]["containers"][0]["command"] = command
    api.create_job(left)
    run.mkdir()
    (run / "kubernetes.json").write_text(json.dumps({"name": "tagarela-0a1b-0"}))


def test_a_failure_shows_how_each_pod_ended_and_the_end_of_its_log(
    api: Api, tmp_path: Path
) -> None:
    leave_job(api, tmp_path / "run", "print('sem memória'); raise SystemExit(3)")
    with pytest.raises(TrainingError, match="Job tagarela-0a1b-0 failed; the log is") as failure:
        run_ranks(MODULE, ["unused"], run=tmp_path / "run", processes=2)
    lines = str(failure.value).splitlines()
    assert lines[1:3] == ["tagarela-0a1b-0-0-abcde Failed: Error (status 3)", "sem memória"]
    assert not api.jobs and not (tmp_path / "run" / "kubernetes.json").exists()


def test_an_interrupted_launcher_deletes_the_job_and_waits_until_it_is_gone(
    api: Api, tmp_path: Path
) -> None:
    leave_job(api, tmp_path / "run", "import time; time.sleep(600)")

    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_ranks(MODULE, ["unused"], run=tmp_path / "run", processes=2, on_poll=interrupt)
    assert not api.jobs and wait_until_gone(tmp_path / "run", 5) == {}


def test_a_job_that_a_killed_launcher_left_is_followed_even_if_the_cluster_is_away_for_a_while(
    api: Api, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    leave_job(api, run, "import time; time.sleep(3)")
    api.down = True
    threading.Timer(1, lambda: setattr(api, "down", False)).start()
    started = time.monotonic()
    run_ranks(MODULE, ["unused"], run=run, processes=2)
    assert time.monotonic() - started > 1
    assert not [line for line in api.requests if line.startswith("POST")]
    assert any(line.endswith("503") for line in api.requests)
