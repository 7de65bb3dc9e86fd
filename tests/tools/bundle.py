#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Make an OCI bundle of busybox (or of nothing) that runc and crun both run.

The base configuration is a container as an engine would make it: its own namespaces, few
capabilities, no_new_privileges, no rlimits (raising them needs CAP_SYS_RESOURCE), no terminal.
Everything a test wants different is an option; see --help. --edit takes Python statements with
the configuration as `c`, for what has no option.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys

CAPABILITIES = [
    "CAP_AUDIT_WRITE", "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL",
    "CAP_NET_BIND_SERVICE", "CAP_SETGID", "CAP_SETPCAP", "CAP_SETUID", "CAP_SYS_CHROOT",
]
MASKED = ["/proc/kcore", "/proc/keys", "/proc/timer_list", "/sys/firmware"]
READ_ONLY = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]
BUSYBOX = "/bin/busybox"


def mount(destination, kind, source, *options):
    return {"destination": destination, "type": kind, "source": source, "options": list(options)}


def base_config():
    return {
        "ociVersion": "1.0.2",
        "process": {
            "terminal": False,
            "user": {"uid": 0, "gid": 0},
            "args": ["sh"],
            "env": ["PATH=/usr/bin:/bin", "HOME=/"],
            "cwd": "/",
            "capabilities": {k: list(CAPABILITIES) for k in ("bounding", "effective", "permitted")},
            "noNewPrivileges": True,
        },
        "root": {"path": "rootfs", "readonly": False},
        "hostname": "test",
        "mounts": [
            mount("/proc", "proc", "proc", "nosuid", "noexec", "nodev"),
            mount("/dev", "tmpfs", "tmpfs", "nosuid", "strictatime", "mode=755", "size=65536k"),
            mount("/dev/pts", "devpts", "devpts", "nosuid", "noexec", "newinstance",
                  "ptmxmode=0666", "mode=0620"),
            mount("/dev/shm", "tmpfs", "shm", "nosuid", "noexec", "nodev", "mode=1777",
                  "size=65536k"),
            mount("/sys", "sysfs", "sysfs", "nosuid", "noexec", "nodev", "ro"),
        ],
        "linux": {
            "resources": {"devices": [{"allow": False, "access": "rwm"}]},
            "namespaces": [{"type": t} for t in ("pid", "network", "ipc", "uts", "mount")],
            "maskedPaths": list(MASKED),
            "readonlyPaths": list(READ_ONLY),
        },
    }


def make_rootfs(rootfs, options):
    for name in ("bin", "etc", "proc", "sys", "dev", "tmp", "run"):
        os.makedirs(os.path.join(rootfs, name), mode=0o755, exist_ok=True)
    os.chmod(os.path.join(rootfs, "tmp"), 0o1777)
    if not options.empty:
        shutil.copy(BUSYBOX, os.path.join(rootfs, "bin/busybox"))
        applets = subprocess.run([BUSYBOX, "--list"], check=True, capture_output=True, text=True)
        for applet in set(applets.stdout.split()) - {"busybox"}:
            os.symlink("busybox", os.path.join(rootfs, "bin", applet))
    if not options.no_target:
        os.makedirs(rootfs + options.target, mode=0o755, exist_ok=True)
    for item in options.file:
        source, destination = item.split(":", 1)
        os.makedirs(os.path.dirname(rootfs + destination), exist_ok=True)
        shutil.copy(source, rootfs + destination)
    for path in options.dir:
        os.makedirs(rootfs + path, mode=0o755, exist_ok=True)


def give_rootfs(rootfs, owner):
    """As an engine does for a user namespace: the image belongs to the container's root."""
    for folder, folders, names in os.walk(rootfs):
        for name in [""] + folders + names:
            os.chown(os.path.join(folder, name), owner, owner, follow_symlinks=False)


def add_user_namespace(config, first_id):
    mapping = [{"containerID": 0, "hostID": first_id, "size": 65536}]
    config["linux"]["namespaces"].append({"type": "user"})
    config["linux"]["uidMappings"] = mapping
    config["linux"]["gidMappings"] = mapping


def apply_options(config, options):
    process = config["process"]
    if options.command:
        process["args"] = options.command
    if options.user:
        uid, _, gid = options.user.partition(":")
        process["user"] = {"uid": int(uid), "gid": int(gid or uid)}
    process["env"] += options.env
    for capability in options.cap:
        for names in process["capabilities"].values():
            names.append(capability)
    config["root"]["readonly"] = options.read_only
    if options.userns is not None:
        add_user_namespace(config, options.userns)
    for kind in options.host_ns:
        spaces = config["linux"]["namespaces"]
        config["linux"]["namespaces"] = [s for s in spaces if s["type"] != kind]
    if options.mask_nothing:
        config["linux"]["maskedPaths"] = []
        config["linux"]["readonlyPaths"] = []
    for item in options.mount:
        source, destination, *flags = item.split(":")
        flags = flags[0].split(",") if flags else []
        config["mounts"].append(mount(destination, "bind", source, "bind", *flags))
    if options.grant:
        source = f"{options.run_dir}/workload/{options.grant}"
        config["mounts"].append(mount(options.target, "bind", source, "rbind", "ro", "rprivate"))
    if options.annotation:
        config["annotations"] = dict(a.split("=", 1) for a in options.annotation)
    if options.hook:
        arguments = [os.path.basename(options.hook)] + options.hook_arg
        hook = {"path": options.hook, "args": arguments, "env": [], "timeout": 20}
        config["hooks"] = {stage: [hook] for stage in options.stage or ["createRuntime"]}


def parse_arguments():
    p = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], usage="%(prog)s BUNDLE [option...] [-- COMMAND...]")
    add = p.add_argument
    many = {"action": "append", "default": []}
    add("bundle", help="folder to make")
    add("--user", help="UID[:GID] of the process")
    add("--read-only", action="store_true", help="read-only root file system")
    add("--userns", type=int, nargs="?", const=100000, help="user namespace from this host id")
    add("--host-ns", help="share this namespace with the host (pid, network, ipc, ...)", **many)
    add("--env", help="NAME=VALUE", **many)
    add("--cap", help="one more capability", **many)
    add("--mask-nothing", action="store_true", help="no masked and no read-only paths")
    add("--mount", help="SOURCE:DESTINATION[:options] bind mount", **many)
    add("--file", help="SOURCE:/DESTINATION copied into the root file system", **many)
    add("--dir", help="/DIRECTORY made in the root file system", **many)
    add("--empty", action="store_true", help="no busybox in the root file system")
    add("--target", default="/run/secrets", help="where the secrets go")
    add("--no-target", action="store_true", help="do not make the target directory")
    add("--grant", help="workload: bind RUN_DIR/workload/NAME read-only on the target")
    add("--run-dir", default="/run/phial", help="the agent's run directory")
    add("--annotation", help="NAME=VALUE", **many)
    add("--hook", help="absolute path of a hook")
    add("--hook-arg", help="one argument of the hook", **many)
    add("--stage", help="hook stage (default createRuntime)", **many)
    add("--edit", help="Python statements that change the configuration `c`", **many)
    words = sys.argv[1:]
    end = words.index("--") if "--" in words else len(words)
    options = p.parse_args(words[:end])
    options.command = words[end + 1:]
    return options


def main():
    options = parse_arguments()
    rootfs = os.path.join(options.bundle, "rootfs")
    os.umask(0o022)
    os.makedirs(rootfs)
    make_rootfs(rootfs, options)
    if options.userns is not None:
        give_rootfs(rootfs, options.userns)
    config = base_config()
    apply_options(config, options)
    for statements in options.edit:
        exec(statements, {"c": config, "mount": mount})  # a test's own words
    with open(os.path.join(options.bundle, "config.json"), "w", encoding="utf-8") as f:
        json.dump(config, f, indent=1)
        f.write("\n")


main()
