#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Look at Kubernetes' files without Kubernetes.

    kubernetes.py check FILE...          schema, references between the objects, what the API server
                                         refuses besides, what phial needs; every problem, exit 1
    kubernetes.py lay-out DIR FILE...    the DaemonSet's volume `store` with the given ConfigMaps,
                                         as the kubelet lays it out; again: as it changes it
    kubernetes.py run CONTAINER FILE...  podman's arguments for a container of the DaemonSet, each
                                         with a NUL behind it; volumes that the kubelet would make
                                         lie below $NODE

FILEs are YAML; a patch (a DaemonSet without a selector) is merged into the DaemonSet.
"""

import json
import os
import re
import sys

import jsonschema
import yaml

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SCHEMA = os.path.join(ROOT, "tests/vectors/kubernetes/schema.json")
WORKLOADS = "/run/phial/workload/"
DNS_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
# What the schema has no values for, and these files use.
VALUES = {
    "mountPropagation": {"None", "HostToContainer", "Bidirectional"},
    "restartPolicy": {"Always", "OnFailure", "Never"},
    "imagePullPolicy": {"Always", "IfNotPresent", "Never"},
    "failurePolicy": {"Fail", "Ignore"},
    "operator": {"In", "NotIn", "Exists", "DoesNotExist", "Equal"},
}
TYPES = {
    "hostPath": {"Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket"},
    "seccompProfile": {"RuntimeDefault", "Unconfined", "Localhost"},
    "appArmorProfile": {"RuntimeDefault", "Unconfined", "Localhost"},
    "updateStrategy": {"RollingUpdate", "OnDelete"},
}
KUSTOMIZATION = {"apiVersion", "kind", "namespace", "resources", "patches"}


class Loader(yaml.SafeLoader):
    """YAML that refuses doubled keys, as strict servers do, and leaves times as they stand."""


def mapping(loader, node):
    keys = [loader.construct_object(key) for key, _ in node.value]
    for key in keys:
        if keys.count(key) > 1:
            raise yaml.YAMLError(f"line {node.start_mark.line + 1}: the key {key} stands twice")
    return {loader.construct_object(k): loader.construct_object(v, deep=True)
            for k, v in node.value}


Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, mapping)


def load(paths):
    """Every object, with the file that it is from."""
    objects = []
    for path in paths:
        with open(path, encoding="utf-8") as file:
            objects += [(os.path.basename(path), each)
                        for each in yaml.load_all(file, Loader) if each is not None]
    return objects


def is_patch(each):
    return each.get("kind") == "DaemonSet" and "selector" not in each.get("spec", {})


def merge(objects):
    """Apply the patches of volumes, the one thing that is patched here."""
    new = {volume["name"]: volume for _, each in objects if is_patch(each)
           for volume in each["spec"]["template"]["spec"]["volumes"]}
    objects = [(name, each) for name, each in objects if not is_patch(each)]
    for _, each in objects:
        if each.get("kind") == "DaemonSet":
            pod = each["spec"]["template"]["spec"]
            pod["volumes"] = [new.get(v.get("name"), v) for v in pod["volumes"]]
    return objects


# --- check ----------------------------------------------------------------------------------


def schema_problems(each):
    with open(SCHEMA, encoding="utf-8") as file:
        schema = json.load(file)
    kind = each.get("kind")
    if kind == "Kustomization":
        return [f"kustomization: {k}: not a field" for k in each.keys() - KUSTOMIZATION]
    if kind not in schema["roots"]:
        return [f"kind {kind}: not in the schema"]
    checker = jsonschema.Draft7Validator({**schema, "$ref": schema["roots"][kind]})
    return [f"{'.'.join(map(str, e.absolute_path)) or kind}: {e.message}"
            for e in checker.iter_errors(each)]


def value_problems(node, path=""):
    """Strings that must be one of a few."""
    if isinstance(node, list):
        return [p for i, each in enumerate(node) for p in value_problems(each, f"{path}[{i}]")]
    if not isinstance(node, dict):
        return []
    problems = []
    for key, value in node.items():
        here = f"{path}.{key}"
        if isinstance(value, str) and value not in VALUES.get(key, {value}):
            problems.append(f"{here}: no such value: {value}")
        kind = value.get("type", "") if isinstance(value, dict) else ""
        if key in TYPES and kind not in TYPES[key] | {""}:
            problems.append(f"{here}.type: no such value: {kind}")
        problems += value_problems(value, here)
    return problems


def containers_of(pod):
    return pod.get("initContainers", []) + pod["containers"]


def volume_problems(pod):
    volumes = [v["name"] for v in pod.get("volumes", [])]
    used = set()
    for container in containers_of(pod):
        mounts = container.get("volumeMounts", [])
        paths = [m["mountPath"] for m in mounts]
        used |= {m["name"] for m in mounts}
        for mount in mounts:
            if mount["name"] not in volumes:
                yield f"{container['name']}: no volume {mount['name']}"
        if len(set(paths)) != len(paths):
            yield f"{container['name']}: two mounts at one path"
    for name in volumes:
        if name not in used:
            yield f"volume {name} is not used"
        if volumes.count(name) > 1:
            yield f"volume {name} is there twice"


def security_problems(container):
    """What the API server refuses, and the schema does not."""
    context = container.get("securityContext", {})
    added = context.get("capabilities", {}).get("add", [])
    if context.get("allowPrivilegeEscalation") is False and (
            "SYS_ADMIN" in added or context.get("privileged")):
        yield f"{container['name']}: SYS_ADMIN and no privilege escalation exclude one another"
    for name in added:
        if name.startswith("CAP_"):
            yield f"{container['name']}: capabilities are named without CAP_"


def grant_problems(pod):
    grants = {v["name"] for v in pod.get("volumes", [])
              if v.get("hostPath", {}).get("path", "").startswith(WORKLOADS)}
    for container in containers_of(pod):
        for mount in container.get("volumeMounts", []):
            if mount["name"] in grants and mount.get("readOnly") is not True:
                yield f"{container['name']}: phial refuses a grant that is not read-only"
            if mount["name"] in grants and ("subPath" in mount or "subPathExpr" in mount):
                yield f"{container['name']}: a grant is the whole directory: no subPath"
            if (mount["name"] in grants and mount["mountPath"] == "/run/secrets"
                    and pod.get("automountServiceAccountToken") is not False):
                yield f"{container['name']}: its token would lie in /run/secrets"


class Cluster:
    """All objects of a check together."""

    def __init__(self, objects):
        self.objects = objects
        self.keys = {}
        for name, each in objects:
            about = each.get("metadata", {})
            key = (each.get("kind"), about.get("namespace"), about.get("name"))
            self.keys.setdefault(key, []).append(name)

    def find(self, kind, namespace, name):
        return next((each for _, each in self.objects if each.get("kind") == kind
                     and each["metadata"].get("namespace") == namespace
                     and each["metadata"]["name"] == name), None)

    def config_map_problems(self, namespace, source):
        name = source["name"]
        found = self.find("ConfigMap", namespace, name)
        if not found:
            return [f"no ConfigMap {name} in namespace {namespace}"]
        return [f"ConfigMap {name} has no key {item['key']}" for item in source.get("items", [])
                if item["key"] not in found.get("data", {})]

    def pod_problems(self, namespace, pod):
        names = [c["name"] for c in containers_of(pod)]
        if len(set(names)) != len(names):
            yield "two containers of one name"
        yield from volume_problems(pod)
        yield from grant_problems(pod)
        for container in containers_of(pod):
            yield from security_problems(container)
        account, runtime = pod.get("serviceAccountName"), pod.get("runtimeClassName")
        if account and not self.find("ServiceAccount", namespace, account):
            yield f"no ServiceAccount {account}"
        if runtime and not self.find("RuntimeClass", None, runtime):
            yield f"no RuntimeClass {runtime}"
        for volume in pod.get("volumes", []):
            sources = volume.get("projected", {}).get("sources", [volume])
            for source in sources:
                if "configMap" in source:
                    yield from self.config_map_problems(namespace, source["configMap"])
            yield from self.path_problems(sources)

    @staticmethod
    def path_problems(sources):
        paths = [item["path"] for s in sources for item in s.get("configMap", {}).get("items", [])]
        for path in paths:
            if path.startswith("/") or ".." in path.split("/") or paths.count(path) > 1:
                yield f"path {path} of a volume leads out of it or is there twice"

    def problems_of(self, each):
        yield from schema_problems(each)
        yield from value_problems(each)

    def reference_problems(self, each):
        if each["kind"] == "Kustomization":
            return
        about = each["metadata"]
        if not DNS_NAME.fullmatch(about["name"]):
            yield f"not a name: {about['name']}"
        if "namespace" in about and not self.find("Namespace", None, about["namespace"]):
            yield f"no Namespace {about['namespace']}"
        if each["kind"] == "Pod":
            yield from self.pod_problems(about["namespace"], each["spec"])
        if each["kind"] == "DaemonSet":
            template = each["spec"]["template"]
            yield from self.pod_problems(about["namespace"], template["spec"])
            wanted = each["spec"]["selector"].get("matchLabels", {})
            if not wanted or not wanted.items() <= template["metadata"]["labels"].items():
                yield "the selector does not select its own pods"
        if (each["kind"] == "ValidatingAdmissionPolicyBinding" and
                not self.find("ValidatingAdmissionPolicy", None, each["spec"]["policyName"])):
            yield f"no ValidatingAdmissionPolicy {each['spec']['policyName']}"


def check(paths):
    try:
        objects = merge(load(paths))
    except yaml.YAMLError as error:
        return [str(error)]
    cluster = Cluster(objects)
    problems = [f"{files}: {key} is there twice" for key, files in cluster.keys.items()
                if len(files) > 1]
    problems += [f"{name}: {p}" for name, each in objects for p in cluster.problems_of(each)]
    if not problems: # references can be followed only in objects that have their form
        problems = [f"{name}: {p}" for name, each in objects
                    for p in cluster.reference_problems(each)]
    return problems


# --- a node of its own ------------------------------------------------------------------------


def agent_pod(objects):
    return next(each for _, each in objects
                if each["kind"] == "DaemonSet")["spec"]["template"]["spec"]


def lay_out(folder, objects):
    """As the kubelet's AtomicWriter: a new folder beside the old, and one link turned to it."""
    cluster = Cluster(objects)
    volume = next(v for v in agent_pod(objects)["volumes"] if v["name"] == "store")
    number = len([n for n in os.listdir(folder) if re.fullmatch(r"\.\.\d.*", n)])
    fresh = f"..2026_11_22_00_00_{number:02}.{number}"
    for source in volume["projected"]["sources"]:
        found = cluster.find("ConfigMap", "phial-system", source["configMap"]["name"])
        for item in source["configMap"]["items"]:
            path = os.path.join(folder, fresh, item["path"])
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w", encoding="utf-8", newline="") as file:
                file.write(found["data"][item["key"]])
    os.symlink(fresh, os.path.join(folder, "..data_tmp"))
    os.rename(os.path.join(folder, "..data_tmp"), os.path.join(folder, "..data"))
    for name in os.listdir(os.path.join(folder, fresh)):
        link = os.path.join(folder, name)
        if not os.path.islink(link):
            os.symlink(os.path.join("..data", name), link)


def run(name, objects):
    """What the kubelet asks of a runtime, as podman's options."""
    pod = agent_pod(objects)
    container = next(c for c in containers_of(pod) if c["name"] == name)
    context = container["securityContext"]
    seccomp = context.get("seccompProfile", {}).get("type")
    volumes = {v["name"]: v for v in pod["volumes"]}
    options = [f"--user={pod['securityContext']['runAsUser']}"]
    options += ["--pid=host"] * pod.get("hostPID", False)
    options += ["--read-only", "--read-only-tmpfs=false"] * context["readOnlyRootFilesystem"]
    options += [f"--cap-drop={c}" for c in context["capabilities"]["drop"]]
    options += [f"--cap-add={c}" for c in context["capabilities"].get("add", [])]
    options += ["--security-opt=seccomp=unconfined"] * (seccomp == "Unconfined")
    options += (["--security-opt=no-new-privileges"] *
                (context.get("allowPrivilegeEscalation") is False))
    for variable in container.get("env", []):
        options.append(f"--env={variable['name']}={variable.get('value', 'node1')}")
    for mount in container["volumeMounts"]:
        volume = volumes[mount["name"]]
        source = volume.get("hostPath", {}).get("path") or f"{os.environ['NODE']}/{mount['name']}"
        options.append(f"--volume={source}:{mount['mountPath']}"
                       + (":ro" if mount.get("readOnly") else ""))
    command = container["command"] + container.get("args", [])
    return options + [f"--entrypoint={json.dumps(command)}", container["image"]]


def main():
    verb, arguments = sys.argv[1], sys.argv[2:]
    if verb == "check":
        problems = check(arguments)
        print("\n".join(problems) or f"{len(arguments)} files, no problem")
        sys.exit(1 if problems else 0)
    first, objects = arguments[0], merge(load(arguments[1:]))
    if verb == "lay-out":
        lay_out(first, objects)
    else:
        sys.stdout.write("".join(f"{option}\0" for option in run(first, objects)))


if __name__ == "__main__":
    main()
