"""mlcroissant logs through absl, whose handler holds the stream that stands there at its import.

Under pytest that is the capture's file, and the handler closes it when anything configures logging
later: the whole worker would fail. The process's own stream it leaves alone.
"""

from __future__ import annotations

import sys

from absl import logging

logging.get_absl_handler().python_handler.stream = sys.__stderr__
