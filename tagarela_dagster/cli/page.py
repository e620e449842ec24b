"""``tagarela ui``: the Dagster page, its daemon, and the recipe's graph."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from typing import Annotated

import typer
from rich.console import Console

from tagarela_dagster.cli.options import RecipeOption, ScaleOption, SourcesOption, open_road

STOP_SECONDS = 30
"""Time that the server has to end by itself before it is killed."""


def ui(
    recipe: RecipeOption = None,
    scale: ScaleOption = None,
    sources: SourcesOption = None,
    host: Annotated[
        str, typer.Option(help="Address to listen on. The page has no login: keep it loopback.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 3000,
) -> None:
    """Open the page: the graph, its runs, the nightly refresh and the checkpoint sensor.

    Starts Dagster's web server and daemon; Ctrl-C ends both. The nightly corpus refresh (03:00
    São Paulo) and the evaluation of new checkpoints run while it is open.
    """
    import dagster as dg

    from tagarela_dagster.assets.partitions import register
    from tagarela_dagster.resources.instance import prepare_instance

    _check_port(host, port)
    road = open_road(recipe, scale, sources)
    prepare_instance(road.home)
    with dg.DagsterInstance.get() as instance:
        register(instance, road)
    # The supervisor ends the page's processes when this one is gone, even by SIGKILL.
    command = [sys.executable, "-m", "tagarela_dagster.training.launching.supervise"]
    command += [str(os.getpid()), str(STOP_SECONDS), "-", "0"]
    command += [sys.executable, "-m", "dagster", "dev", "-m", "tagarela_dagster.definitions"]
    command += ["-h", host, "-p", str(port)]
    Console().print(f"The page: [bold]http://{host}:{port}[/]   (Ctrl-C ends it)", highlight=False)
    raise typer.Exit(_serve(command))


def _serve(command: list[str]) -> int:
    """Run the server until it ends or a signal ends it, with every process that it started."""
    server: subprocess.Popen[bytes] | None = None
    asked: list[int] = []

    def stop(number: int, _: object) -> None:
        asked.append(number)
        if server is None:
            raise typer.Exit(128 + number)
        with suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL if number == signal.SIGALRM else signal.SIGINT)
        signal.alarm(0 if number == signal.SIGALRM else STOP_SECONDS)

    # Before the server starts, which then gets default handlers: a shell that starts us with "&"
    # has SIGINT ignored, and a child would inherit that and never end.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM):
        signal.signal(number, stop)
    server = subprocess.Popen(command, start_new_session=True)
    code = server.wait()
    signal.alarm(0)
    # Whatever the server left behind.
    with suppress(ProcessLookupError):
        os.killpg(server.pid, signal.SIGTERM)
    return 0 if asked else code if code >= 0 else 128 - code


def _check_port(host: str, port: int) -> None:
    """Raise OSError with a sentence when the port is taken or the address is not ours."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise OSError(
                f"port {port} on {host} cannot be used ({error.strerror}): choose another one "
                "with --port, or end the program that has it"
            ) from None
