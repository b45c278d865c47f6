"""The path bound: a lower bound of the loss from the paths between junctions and an arborescence, for large grids."""
