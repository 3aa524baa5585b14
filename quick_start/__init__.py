"""Quick start: temporary programs, which are cleaned up when they end (docs/contract.md, section 6)."""
