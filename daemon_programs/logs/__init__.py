"""Program logs: their last lines, and live streams that survive rotation and truncation."""
