"""power-grid-model input data as JSON."""
