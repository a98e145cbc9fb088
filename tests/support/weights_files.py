"""Weights files whose pickle is changed."""

import json
import zipfile


def rezipped(path, change):
    """Replace ``data.pkl`` of a weights file by ``change(data.pkl)``."""
    with zipfile.ZipFile(path) as archive:
        records = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in records.items():
            archive.writestr(name, change(data) if name.endswith("data.pkl") else data)


def with_metadata(path, to, change):
    """Write ``path`` as ``to`` with ``change(metadata)`` in place of npseq's metadata, which JSON need not allow."""
    with zipfile.ZipFile(path) as archive:
        records = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(to, "w") as archive:
        for name, data in records.items():
            if name.endswith("npseq.json"):
                data = json.dumps(change(json.loads(data))).encode("utf-8", "surrogatepass")
            archive.writestr(name, data)
