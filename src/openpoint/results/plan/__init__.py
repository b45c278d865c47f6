"""Switch plans as results: their steps under the grid's own names."""
