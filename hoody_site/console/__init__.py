"""The admin as a console: the site, and the overview that is its first page."""
