"""Reconfigure for a year: one topology of least energy lost, with limits in every step."""
