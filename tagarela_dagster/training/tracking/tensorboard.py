"""TensorBoard: event files in the run folder (``tensorboard --logdir RUN/tensorboard``)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

FOLDER = "tensorboard"


class TensorBoard:
    """Writes event files."""

    def __init__(self, writer: Any) -> None:
        self._writer = writer

    def write(self, step: int, values: dict[str, float]) -> None:
        """Add a point to each curve."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, global_step=step)

    def flush(self) -> None:
        """Hand the points to the file system. Raises OSError when the disk is full."""
        self._writer.flush()

    def close(self) -> None:
        """Close the event file."""
        self._writer.close()


def open_tensorboard(
    run: Path, name: str, config: dict[str, Any], state: dict[str, Any], last: int
) -> TensorBoard:
    """Event file that goes on after step ``last``: TensorBoard leaves out points after it that
    an earlier file has (purge_step), as the resumed run draws them again."""
    import json

    from torch.utils.tensorboard import SummaryWriter

    state["step"] = min(state.get("step", 0), last)
    writer: Any = SummaryWriter(str(run / FOLDER), purge_step=state["step"] + 1)
    if not state["step"]:
        writer.add_text("config", f"{name}\n```\n{json.dumps(config, indent=1)}\n```")
    return TensorBoard(writer)
