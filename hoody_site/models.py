"""Django looks for the models of an app here."""

from hoody_site.access.models import ApiToken

__all__ = ["ApiToken"]
