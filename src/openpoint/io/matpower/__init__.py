"""MATPOWER cases."""
