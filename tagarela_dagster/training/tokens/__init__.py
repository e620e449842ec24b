"""Tokenizer, and clean text as shards of tokens."""
