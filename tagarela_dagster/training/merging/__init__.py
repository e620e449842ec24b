"""Merging and averaging: one model out of several of one shape."""
