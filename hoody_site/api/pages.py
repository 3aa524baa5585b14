"""The browsable API: responses as pages for people."""

from typing import Any

from rest_framework.renderers import BrowsableAPIRenderer

_MAX_CHARACTERS = 512 * 1024


class BoundedPageRenderer(BrowsableAPIRenderer):
    """Show the beginning of a long response only: escaping and marking all of it could take minutes."""

    def get_content(self, *args: Any) -> str:
        """Return the text of the response."""
        content: str = super().get_content(*args)
        if len(content) <= _MAX_CHARACTERS:
            return content
        return f"{content[:_MAX_CHARACTERS]}\n… and {len(content) - _MAX_CHARACTERS} characters more"
