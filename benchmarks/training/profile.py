"""Where the time of a step goes, as torch's profiler sees it, in a few kinds of work."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

KINDS = {
    "attention": r"flash|fmha|attention|softmax",
    "matrix products": r"gemm|cutlass|nvjet|::mm|::addmm|::bmm|::linear",
    "optimizer": r"adam|multi_tensor",
    "communication": r"nccl|c10d|gloo|all_reduce|allreduce",
    "copies": r"copy|memcpy|memset|fill|::cat|::zero",
}
"""Kind -> what the names of its kernels (CUDA) or operators (CPU) have in them; first match."""
REST = "element by element, norms, sums"
IDLE = "device idle"
LARGEST = 8


def where(profile: Any, seconds: float, cuda: bool) -> dict[str, Any]:
    """Shares of the profiled time.

    Args:
        profile: torch.profiler.profile, ended.
        seconds: on the clock.
        cuda: count the device's kernels; else operators on the processor.

    Returns:
        ``kinds``: kind -> share; ``largest``: kernel or operator -> share.
    """
    from torch.autograd import DeviceType

    kinds: dict[str, float] = defaultdict(float)
    names: dict[str, float] = defaultdict(float)
    for event in profile.key_averages():
        if (event.device_type == DeviceType.CUDA) != cuda or event.is_user_annotation:
            continue
        micros = event.self_device_time_total if cuda else event.self_cpu_time_total
        found = (k for k, pattern in KINDS.items() if re.search(pattern, event.key.lower()))
        kinds[next(found, REST)] += micros / 1e6
        names[event.key[:60]] += micros / 1e6
    kinds[IDLE] = max(0.0, seconds - sum(kinds.values()))
    whole = sum(kinds.values())
    largest = sorted(names.items(), key=lambda item: -item[1])[:LARGEST]
    return {
        "kinds": {k: round(s / whole, 4) for k, s in sorted(kinds.items(), key=lambda i: -i[1])},
        "largest": {name: round(s / whole, 4) for name, s in largest},
    }


def profiles(rows: Sequence[dict[str, Any]]) -> str:
    """What the rows with a profile say of it, in Markdown; and that there are none."""
    profiled = [row for row in rows if "profile" in row.get("details", {})]
    if not profiled:
        return "\nNo GPU was at hand: throughput, MFU and memory on GPUs were not measured.\n\n"
    columns = list(dict.fromkeys(k for row in profiled for k in row["details"]["profile"]["kinds"]))
    lines = [
        "\nWhere the time of a step goes, by torch's profiler:\n",
        f"| share of a step | {' | '.join(columns)} | largest |",
        f"|---|{'---:|' * len(columns)}---|",
    ]
    for row in profiled:
        kinds = row["details"]["profile"]["kinds"]
        name, share = next(iter(row["details"]["profile"]["largest"].items()))
        cells = [row["name"], *(f"{kinds.get(kind, 0):.1%}" for kind in columns)]
        lines.append(f"| {' | '.join(cells)} | `{name}` {share:.1%} |")
    return "\n".join(lines) + "\n\n"
