"""Switch plans on paper and on screen."""
