"""Checkpoints: published whole or not at all, resumed exactly."""
