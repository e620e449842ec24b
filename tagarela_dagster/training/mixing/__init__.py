"""Mixture: which sequences a training sees, in which order, and the account of it."""
