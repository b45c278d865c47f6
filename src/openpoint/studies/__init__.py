"""The studies: one file each, the recipe, its options and its result."""
