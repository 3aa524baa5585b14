"""The stack: its folder, its first start, supervisord's configuration, and the watch over its parts."""
