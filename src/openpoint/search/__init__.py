"""Topology search: branch and bound on the switches with a lower bound in closed form."""
