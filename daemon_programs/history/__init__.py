"""The history: state changes, from the plugin's journal to the database and the event stream."""
