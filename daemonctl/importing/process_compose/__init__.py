"""Programs of process-compose."""
