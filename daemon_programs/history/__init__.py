"""The history: what has happened, from the plugin's journal to the rows that people ask for."""
