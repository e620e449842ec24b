"""Cross-entropy in chunks against all logits at once: processor time, memory, the same answers.

Each measurement runs in a process of its own, whose peak of memory is its own.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from collections.abc import Iterator

from benchmarks.rows import Row
from tagarela_dagster.training.pretraining.losses import CHUNK

TOKENS, WIDTH, VOCABULARY = 2048, 256, 32_000
QUICK_TOKENS = 128
REPEATS = 3
PLAIN = 0
PEER = "all logits at once"
TOLERANCE = 1e-6


def measure(chunk: int, precision: str, tokens: int) -> None:
    """Print CPU seconds of the fastest of REPEATS, the peak's growth in MiB, and the loss."""
    import torch

    from tagarela_dagster.training.pretraining.losses import cross_entropy

    torch.set_num_threads(1)
    torch.manual_seed(0)
    dtype = getattr(torch, precision)
    hidden = torch.randn(tokens, WIDTH).to(dtype).requires_grad_()
    weight = (0.02 * torch.randn(VOCABULARY, WIDTH)).to(dtype).requires_grad_()
    targets = torch.randint(VOCABULARY, (tokens,))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seconds = []
    for _ in range(REPEATS):
        hidden.grad = weight.grad = None
        started = time.process_time()
        if chunk == PLAIN:
            logits = (hidden @ weight.T).float()
            loss = torch.nn.functional.cross_entropy(logits, targets, reduction="sum")
            del logits
        else:
            loss, _ = cross_entropy(hidden, weight, None, targets, 0.0, chunk)
        loss.backward()
        seconds.append(time.process_time() - started)
    peak = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(min(seconds), peak, loss.item())


def rows(quick: bool) -> Iterator[Row]:
    """Rows of this family."""
    tokens = QUICK_TOKENS if quick else TOKENS
    for precision in ("float32", "bfloat16"):
        plain, plain_mib, answer = _measured(PLAIN, precision, tokens)
        for chunk in (CHUNK // 4, CHUNK, CHUNK * 4):
            seconds, mib, loss = _measured(chunk, precision, tokens)
            agreement = float(abs(loss / answer - 1) < TOLERANCE)
            name = f"cross-entropy, {precision}, 2^{chunk.bit_length() - 1} logits at once"
            used = " (ours)" if chunk == CHUNK else ""
            note = f"{tokens} tokens, {VOCABULARY:,} words, width {WIDTH}"
            yield Row(
                f"{name}{used}",
                seconds,
                "s",
                PEER,
                plain,
                plain / seconds,
                agreement,
                note=f"processor time, best of {REPEATS}; {note}",
            )
            least = max(mib, 1e-9)
            yield Row(f"{name}{used}, memory", mib, "MiB", PEER, plain_mib, plain_mib / least)


def _measured(chunk: int, precision: str, tokens: int) -> tuple[float, float, float]:
    """Seconds, MiB and loss."""
    arguments = [str(chunk), precision, str(tokens)]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.training.cross_entropy", *arguments],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    seconds, mib, loss = (float(value) for value in done.stdout.split())
    return seconds, mib, loss


if __name__ == "__main__":
    measure(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
