"""Roll-outs: one change of many hosts, a few at a time, which goes on where it was after any kill."""
