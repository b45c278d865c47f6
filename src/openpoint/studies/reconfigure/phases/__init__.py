"""Reconfiguration of grids of several phases."""
