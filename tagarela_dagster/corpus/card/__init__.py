"""Corpus card: what a corpus is, told from its lineage; Croissant metadata; export for peers."""
