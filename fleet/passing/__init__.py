"""Pass requests on to hosts, and keep the history of those that may have changed something there."""
