"""Talk to supervisord: the client, what is shared with the plugin, and the plugin itself."""
