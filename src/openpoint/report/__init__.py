"""The kit of reports: layouts, figures, charts and pages. It knows no study."""
