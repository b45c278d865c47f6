"""The model of the topology search: a network as arrays, bounds of voltages and of the loss."""
