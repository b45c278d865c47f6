"""Topology decided once for a day, with proof."""
