"""The laboratory: simulators, emulator, adapters of public data, benches and the demo.

Installed with ``millrace[lab]``; nothing outside this package imports it.
"""
