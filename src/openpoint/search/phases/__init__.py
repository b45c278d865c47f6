"""Topology search on grids of any phases: 3 × 3 matrices by bus and branch, the exact flow of trees, the bound."""
