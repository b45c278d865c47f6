"""Charts of the page, as data that its script draws."""
