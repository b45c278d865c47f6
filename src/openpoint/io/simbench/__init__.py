"""SimBench CSV folders."""
