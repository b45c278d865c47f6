"""The model of a grid that users work with: tables with names as keys and units in the column names."""

from openpoint.grid.grid import Grid

__all__ = ["Grid"]
