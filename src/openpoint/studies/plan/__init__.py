"""Switch plans between two states of a grid."""
