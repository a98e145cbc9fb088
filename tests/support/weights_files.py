"""Weights files whose pickle is changed."""

import zipfile


def rezipped(path, change):
    """Replace ``data.pkl`` of a weights file by ``change(data.pkl)``."""
    with zipfile.ZipFile(path) as archive:
        records = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in records.items():
            archive.writestr(name, change(data) if name.endswith("data.pkl") else data)
