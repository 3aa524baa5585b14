"""The gateway to supervisord: the only room that knows how it is configured and talked to."""
