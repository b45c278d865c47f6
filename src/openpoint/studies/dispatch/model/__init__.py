"""The mathematical model of dispatch with devices."""
