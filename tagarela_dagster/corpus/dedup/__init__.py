"""Exact and near duplicates: normalise, sign, cluster, keep one."""
