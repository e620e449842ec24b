"""The graph: thin assets, one call into a library each. The file list reads as the data flow."""
