"""Dispatch: open points, taps, capacitor steps and generators in one problem."""
