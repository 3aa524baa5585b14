"""Import the models to where Django looks for them."""

from hoody_site.access.models import ApiToken

__all__ = ["ApiToken"]
