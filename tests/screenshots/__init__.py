"""Pictures of the console for the README: `make screenshots`."""
