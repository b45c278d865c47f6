"""Scenarios as tables that a user writes: futures, growth, disasters, storms, horizons, days."""
