"""The ``filtered`` stage: licence gate, line clean-up, language, repetition, quality, PII.

``kernel`` puts the steps together over Arrow batches; ``command`` runs it on anybody's files;
``datatrove_filters`` offers it as an ordinary datatrove filter. docs/filters.md has the rules,
what was measured, and what differs from FineWeb-2.
"""
