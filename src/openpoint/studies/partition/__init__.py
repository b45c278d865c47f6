"""Radial islands of a grid that lost its substation, each with a grid-forming source."""
