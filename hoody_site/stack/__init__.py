"""Start and maintain the stack: state folder, database, supervisord's configuration, watchdog."""
