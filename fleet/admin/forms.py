"""The form of a host, whose token is typed and never shown, and that of an invitation."""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from daemon_programs.admin.forms.fields import json_field
from daemon_programs.admin.forms.widgets import PlainText
from fleet.exceptions import TokenUnreadable
from fleet.models import Host, Invitation
from fleet.registry import hosts
from fleet.registry.invitations import expiry_after

_HOURS = (1, 24)


class LabelledForm(forms.ModelForm):
    """A form with labels as rows."""

    def clean_labels(self) -> dict[str, str]:
        """Take no labels for an empty map."""
        return self.cleaned_data["labels"] or {}


class HostForm(LabelledForm):
    """A host with its token, which is needed for a new address or CA."""

    token = forms.CharField(
        required=False,
        strip=True,
        widget=forms.PasswordInput(attrs={"autocomplete": "off", "class": "vTextField"}),
        help_text="An API token of the host. It is stored encrypted, and never shown.",
    )
    labels = json_field("labels", help_text="By which hosts are chosen.")

    class Meta:
        model = Host
        fields = ["name", "url", "ca", "labels", "notes"]
        widgets = {"ca": PlainText(attrs={"rows": 3}), "notes": PlainText()}

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._before = {name: getattr(self.instance, name) for name in ("url", "ca")}
        if not self.instance._state.adding:
            self.fields["token"].help_text += " Empty: it stays, unless URL or CA are changed."

    def clean(self) -> dict[str, Any]:
        """Require the token where it goes to another address."""
        cleaned = super().clean() or {}
        if self.errors:
            return cleaned
        is_new = self.instance._state.adding
        if not cleaned["token"]:
            if is_new:
                self.add_error("token", "Field 'token' is required")
            elif hosts.leads_elsewhere(Host(**self._before), cleaned):
                self.add_error("token", hosts.NOT_WITHOUT_IT)
            return cleaned
        try:
            hosts.check_token_field(cleaned["token"])
            self.instance.token = cleaned["token"]
        except (ValidationError, TokenUnreadable) as problem:
            sentences = problem.messages if isinstance(problem, ValidationError) else [str(problem)]
            self.add_error("token", sentences)
        return cleaned

    def clean_url(self) -> str:
        """Leave out the slash at its end, as the API does."""
        return hosts.plain(self.cleaned_data["url"])


class InvitationForm(LabelledForm):
    """An invitation, which is valid for some hours."""

    labels = json_field("labels", help_text="The labels that the host gets.")
    hours = forms.IntegerField(
        min_value=_HOURS[0], max_value=_HOURS[1], initial=1, help_text="How long the code is valid."
    )

    class Meta:
        model = Invitation
        fields = ["name", "labels"]

    def clean(self) -> dict[str, Any]:
        """Set the time at which it expires."""
        cleaned = super().clean() or {}
        if "hours" in cleaned:
            self.instance.expires_at = expiry_after(cleaned["hours"] * 3600)
        return cleaned
