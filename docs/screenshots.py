"""Make the README's pictures again: open the page in headless Chromium and photograph it.

Run ``make demo`` first, then ``make screenshot``. Starts the page on a free port and ends it.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from tagarela_dagster.resources.road import Road

IMAGES = Path(__file__).parent / "images"
LOCATION = "__repository__@tagarela_dagster.definitions"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
START_SECONDS = 60


def main() -> None:
    """Photograph the road, an asset of the corpus, the training and the scores."""
    browser_path = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if browser_path is None:
        sys.exit("there is no Chromium on PATH: install it (Debian, Ubuntu: apt install chromium)")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "tagarela_dagster.cli", "ui", "--port", str(port)]
    server = subprocess.Popen(command, start_new_session=True)
    base = f"http://127.0.0.1:{port}"
    try:
        wait_until_ready(base)
        graphql(base, "mutation { setNuxSeen }")
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=browser_path,
                args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
            )
            for name, path, size in shots():
                page = browser.new_page(viewport={"width": size[0], "height": size[1]})
                page.add_init_script("localStorage.setItem('large-screen-nav-open', 'false')")
                photograph(page, base + path, IMAGES / f"{name}.png")
                page.close()
            browser.close()
    finally:
        server.terminate()
        server.wait(30)


def shots() -> list[tuple[str, str, tuple[int, int]]]:
    """Name, path and size in pixels of each picture."""
    newest = max(Road.from_environment().checkpoints)
    asset = (1360, 1000)
    return [
        ("road", "/asset-groups", (2100, 640)),
        ("corpus", f"/locations/{LOCATION}/asset-groups/corpus/lineage", (2100, 720)),
        ("filtered", "/assets/filtered?view=partitions&partition=arquivo_pt%40AWP2021", asset),
        ("pretrain", "/assets/pretrain?view=overview", asset),
        ("scores", f"/assets/scores?view=partitions&partition={newest}", (1360, 1100)),
    ]


def photograph(page: Page, url: str, path: Path) -> None:
    """Open ``url``, wait until nothing loads any more, save a picture."""
    page.goto(url)
    page.wait_for_timeout(3000)
    done = "() => !/Loading|fetching statuses/.test(document.body.innerText)"
    page.wait_for_function(done, timeout=30_000)
    page.wait_for_timeout(1500)
    path.parent.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=str(path))


def graphql(base: str, query: str) -> dict:
    """Send a query to the page's API and return its answer."""
    request = urllib.request.Request(
        f"{base}/graphql",
        data=json.dumps({"query": query}).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


def wait_until_ready(base: str) -> None:
    """Wait until the page answers. Raises TimeoutError after START_SECONDS."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        try:
            graphql(base, "{ version }")
            return
        except OSError:
            time.sleep(0.3)
    raise TimeoutError(f"{base} did not answer within {START_SECONDS} s")


if __name__ == "__main__":
    os.environ.setdefault("TAGARELA_RECIPE", "recipes/sample.yaml")
    main()
