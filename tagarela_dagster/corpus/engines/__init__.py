"""Engines that run the ranks of a stage: processes here, a Ray cluster, a Slurm cluster."""
