"""Sections between switches, and the supply of what a fault cuts off."""
