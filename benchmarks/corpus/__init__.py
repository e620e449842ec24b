"""The corpus engine against its peers and against its targets: ``make bench-corpus``.

``python -m benchmarks.corpus`` runs one family of rows after the other, each in a process of its
own that is bound to one core, and writes benchmarks/results/corpus.json and docs/speed.md.
"""
