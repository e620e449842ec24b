"""The training loop against its peers and against its targets: ``make bench-train``."""
