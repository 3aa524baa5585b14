"""Find processes: process trees, notes of starts, and survivors of a killed supervisord."""
