"""Reconfigure for a fleet: many grids, each by itself."""
