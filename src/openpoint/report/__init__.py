"""Layouts, figures, charts and pages, of which studies make their reports."""
