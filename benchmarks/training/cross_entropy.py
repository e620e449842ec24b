"""Cross-entropy in chunks against all logits at once: CPU seconds, memory, and the same answers.

    python -m benchmarks.cross_entropy

Each measurement runs in a process of its own, whose peak of memory is its own.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time

TOKENS, WIDTH, VOCABULARY = 2048, 256, 32_000
REPEATS = 3
CHUNKS = (1 << 20, 1 << 22, 1 << 24)
PLAIN = 0


def measure(chunk: int, precision: str) -> None:
    """Print CPU seconds of the fastest of REPEATS, the peak's growth in MiB, and the loss."""
    import torch

    from tagarela_dagster.training.pretraining.losses import cross_entropy

    torch.set_num_threads(1)
    torch.manual_seed(0)
    dtype = getattr(torch, precision)
    hidden = torch.randn(TOKENS, WIDTH).to(dtype).requires_grad_()
    weight = (0.02 * torch.randn(VOCABULARY, WIDTH)).to(dtype).requires_grad_()
    targets = torch.randint(VOCABULARY, (TOKENS,))
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


def main() -> None:
    """Measure everything, and stop where a loss differs."""
    for precision in ("float32", "bfloat16"):
        losses = []
        for chunk in (PLAIN, *CHUNKS):
            command = [sys.executable, "-m", "benchmarks.cross_entropy", str(chunk), precision]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            seconds, peak, loss = (float(value) for value in done.stdout.split())
            losses.append(loss)
            name = f"{chunk} logits at once" if chunk else "all logits at once"
            print(f"{precision:9s} {name:24s} {seconds:6.2f} s CPU {peak:6.0f} MiB {loss:12.4f}")
        assert all(abs(loss / losses[0] - 1) < 1e-6 for loss in losses), losses


if __name__ == "__main__":
    if len(sys.argv) > 1:
        measure(int(sys.argv[1]), sys.argv[2])
    else:
        main()
