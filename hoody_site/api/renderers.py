"""JSON, written by orjson where Python's own encoder would write the same."""

from collections.abc import Mapping
from typing import Any

import orjson
from rest_framework.renderers import JSONRenderer
from rest_framework.utils.encoders import JSONEncoder

_OPTIONS = orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_DATACLASS
_LINE_ENDS_OF_SCRIPTS = ((b"\xe2\x80\xa8", rb"\u2028"), (b"\xe2\x80\xa9", rb"\u2029"))


class FastJSONRenderer(JSONRenderer):
    """Write the JSON of Django REST framework in a fraction of its time."""

    def render(
        self,
        data: Any,
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> bytes:
        """Return the document; indented if the client or the browsable API asks for that."""
        if data is None or self.get_indent(accepted_media_type or "", renderer_context or {}) is not None:
            return super().render(data, accepted_media_type, renderer_context)
        try:
            text = orjson.dumps(data, JSONEncoder().default, _OPTIONS)
        except TypeError:  # integers of more than 64 bits, keys that are not strings
            return super().render(data, accepted_media_type, renderer_context)
        for character, escape in _LINE_ENDS_OF_SCRIPTS:
            text = text.replace(character, escape)
        return text
