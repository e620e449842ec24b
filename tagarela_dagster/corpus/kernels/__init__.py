"""Compiled kernels over the UTF-8 bytes of Arrow string columns: no Python object a word."""
