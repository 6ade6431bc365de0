"""Compute outcomes on the nodes of a cluster; each unit of work is a file, which the journal then takes in."""

from avscene.inference.ledger.run import ClusterComputing

__all__ = ["ClusterComputing"]
