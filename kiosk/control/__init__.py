"""The control socket of ``kiosk run``: how ``kiosk check`` and the technician's page speak with the bed."""
