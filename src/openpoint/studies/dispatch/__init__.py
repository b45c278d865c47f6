"""Optimal power flow with devices: switches, tap changers, capacitor steps, generators."""
