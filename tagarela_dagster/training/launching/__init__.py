"""Processes of a training: started, followed, and ended as a whole."""
