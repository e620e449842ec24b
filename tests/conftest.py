"""What all tests share."""

from __future__ import annotations

import os

# A launch of ranks would import TensorBoard, two seconds of each; its own tests ask for it.
os.environ.setdefault("TAGARELA_TRACKING", "none")
