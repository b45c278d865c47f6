"""Pictures as files: grids, charts and panels drawn with matplotlib."""
