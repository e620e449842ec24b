"""What all tests share."""

from __future__ import annotations

import os

# A launch of ranks would import TensorBoard and CodeCarbon, seconds of each; their own tests ask.
os.environ.setdefault("TAGARELA_TRACKING", "none")
os.environ.setdefault("TAGARELA_TRACKING_MODE", "off")
