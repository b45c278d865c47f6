"""Excel workbooks of the tables of a grid."""
