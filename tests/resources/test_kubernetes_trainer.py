import sys
from pathlib import Path
from typing import Any

import pytest
from dagster import (
    AssetExecutionContext,
    DagsterInstance,
    MaterializeResult,
    asset,
    materialize,
)

from tagarela_dagster.resources.kubernetes_trainer import pipes_to_pods
from tagarela_dagster.training.launching.backend import run_ranks
from tests.training.launching.kubernetes_api import kubernetes_api
from tests.training.launching.ranks import MODULE

kubernetes: Any = pytest.importorskip(
    "kubernetes", reason="kubernetes is not installed: pip install 'tagarela[kubernetes]'"
)


@pytest.mark.train
def test_the_first_pod_speaks_in_the_log_of_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("dagster_k8s", reason="dagster-k8s is not installed")
    run = tmp_path / "run"
    run.mkdir()

    @asset
    def trained(context: AssetExecutionContext) -> MaterializeResult:
        with pipes_to_pods(context):
            run_ranks(MODULE, [str(run), "2"], run=run, processes=1)
        return MaterializeResult()

    monkeypatch.setenv("TAGARELA_TRAINER", "kubernetes")
    settings = f"image=i,claim=c,mount={tmp_path},poll=0.2,python={sys.executable}"
    monkeypatch.setenv("TAGARELA_TRAINER_SETTINGS", settings)
    with kubernetes_api(tmp_path) as (_, config), DagsterInstance.ephemeral() as instance:
        location = kubernetes.config.kube_config
        monkeypatch.setattr(location, "KUBE_CONFIG_DEFAULT_LOCATION", str(config))
        result = materialize([trained], instance=instance)
        said = [entry.user_message for entry in instance.all_logs(result.run_id)]
    assert result.success
    assert any("1 ranks in each of 1 pods; the log is" in words for words in said)
    assert any("the ranks ended with status 0" in words for words in said)
    assert "rank 0 of 1 from step 0" in capfd.readouterr().out


def test_on_other_backends_there_is_nothing_to_connect(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TAGARELA_TRAINER", raising=False)
    context: Any = None
    with pipes_to_pods(context):
        pass
