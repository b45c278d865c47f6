"""Topology search for many futures: one radial state whose losses in all of them have the least risk."""
