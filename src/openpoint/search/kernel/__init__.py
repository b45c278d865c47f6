"""Compiled: the lower bound, propagation and the nodes of the topology search."""
