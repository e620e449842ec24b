"""The ``filtered`` stage: licence gate, line clean-up, language, repetition, quality, PII.

``kernel`` puts the steps together over Arrow batches; ``command`` runs it on anybody's files;
``corpus.datatrove`` offers it as ordinary datatrove steps. docs/filters.md has the rules,
what was measured, and what differs from FineWeb-2.
"""
