"""`make bench`: this project beside what its users would pick instead. See docs/benchmarks.md."""
