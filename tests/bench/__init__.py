"""`make bench`: compare this project with its alternatives. See docs/benchmarks.md."""
