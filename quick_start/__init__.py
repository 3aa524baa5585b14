"""Quick start: temporary programs that clean up after themselves (contract, section 6)."""
