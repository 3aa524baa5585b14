"""CPU and memory of all programs and of the host: an hour at ten seconds, a day at a minute.

One thread of the API takes the samples and keeps them in memory. They are written to a file when the API is
stopped, and every few minutes, so that they outlast its restart. Other processes have none.
"""

from django.conf import settings

from daemon_programs.programs import waiting
from daemon_programs.programs.observed.samples.host import HostSample
from daemon_programs.programs.observed.samples.rings import Sample, Span
from daemon_programs.programs.observed.samples.sampler import Point, Sampler

__all__ = (
    "HostSample",
    "Point",
    "Sample",
    "Span",
    "history",
    "host",
    "host_history",
    "latest",
    "save",
    "sparkline",
    "start",
)

_sampler = Sampler(waiting.states, settings.SAMPLES_FILE)

latest = _sampler.latest
sparkline = _sampler.sparkline
history = _sampler.history
host = _sampler.host
host_history = _sampler.host_history
start = _sampler.start
save = _sampler.save
