"""Programs inside supervisord: held, started, ended."""
