"""The browsable API: responses as pages for people."""
