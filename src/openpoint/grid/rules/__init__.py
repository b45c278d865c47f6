"""Rules of validation: what is wrong, or doubtful, in the tables of a grid."""
