"""Dispatch of devices in grids of several phases."""
