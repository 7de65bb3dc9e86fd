#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Wrap the tar of a root file system into an OCI image archive that `ctr images import` takes.

usage: oci_image.py NAME LAYER.tar IMAGE.tar
The name is stored as it is, so that `ctr run NAME` finds it.
"""

import hashlib
import io
import json
import platform
import sys
import tarfile

MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}
MEDIA = "application/vnd.oci.image."


def add(archive, name, data):
    entry = tarfile.TarInfo(name)
    entry.size = len(data)
    archive.addfile(entry, io.BytesIO(data))


def add_blob(archive, kind, data):
    digest = hashlib.sha256(data).hexdigest()
    add(archive, "blobs/sha256/" + digest, data)
    return {"mediaType": MEDIA + kind, "digest": "sha256:" + digest, "size": len(data)}


def main():
    name, layer_path, image_path = sys.argv[1:]
    with open(layer_path, "rb") as f:
        layer_bytes = f.read()
    with tarfile.open(image_path, "w") as archive:
        layer = add_blob(archive, "layer.v1.tar", layer_bytes)
        machine = platform.machine()
        config = add_blob(archive, "config.v1+json", json.dumps({
            "architecture": MACHINES.get(machine, machine), "os": "linux",
            "config": {"Env": ["PATH=/usr/bin:/bin"], "Cmd": ["sh"]},
            "rootfs": {"type": "layers", "diff_ids": [layer["digest"]]}}).encode())
        manifest = add_blob(archive, "manifest.v1+json", json.dumps({
            "schemaVersion": 2, "mediaType": MEDIA + "manifest.v1+json",
            "config": config, "layers": [layer]}).encode())
        manifest["annotations"] = {"io.containerd.image.name": name}
        add(archive, "oci-layout", b'{"imageLayoutVersion": "1.0.0"}')
        add(archive, "index.json", json.dumps(
            {"schemaVersion": 2, "manifests": [manifest]}).encode())


main()
