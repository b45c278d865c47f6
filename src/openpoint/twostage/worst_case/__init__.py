"""The worst realisation of an uncertainty set."""
