"""Streaming readers, one module a native format."""
