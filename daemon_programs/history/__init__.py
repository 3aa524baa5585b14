"""The history: state changes, from the plugin's journal to rows and the event stream."""
