"""The gateway to supervisord, and the plugin that runs inside it."""
