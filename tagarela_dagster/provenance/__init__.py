"""Identity and durability: fingerprints, manifests, the lake's partitions, leases.

The ground floor: imports nothing of Tagarela above itself, and no Dagster.
"""
