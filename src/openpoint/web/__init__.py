"""`openpoint serve`: runs as processes of their own, REST, and pages, for one person or one office."""
