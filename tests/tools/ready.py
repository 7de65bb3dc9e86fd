#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Be a service manager's notification socket: write what arrives on SOCKET to FILE."""

import socket
import sys

listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
listener.bind(sys.argv[1])
with open(sys.argv[2], "wb", buffering=0) as output:
    while True:
        output.write(listener.recv(65536) + b"\n")
