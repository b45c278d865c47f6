"""The engineering model of a grid: tables under the user's own names and units."""

from openpoint.grid.grid import Grid

__all__ = ["Grid"]
