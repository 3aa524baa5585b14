"""The prober: one process of the stack that probes all programs. Does not import Django.

It learns from the plugin what to probe, and reports what it finds to it. So probes go on while the API is
down, and what is found out has effect only in the plugin.
"""
