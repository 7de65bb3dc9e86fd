#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Trim Kubernetes' published object types to the few that the examples use, as a JSON Schema.

    tests/vectors/kubernetes/trim.py PACKAGE >tests/vectors/kubernetes/schema.json

PACKAGE is the unpacked npm package that README.md beside this names. Its models are generated from
Kubernetes' OpenAPI document; each has a table of its fields, and a declaration that tells which of
them may be absent. Descriptions are left out. Unknown fields are refused, as the API server does
when it validates strictly.
"""

import json
import os
import re
import sys

ROOTS = {
    "Namespace": "v1", "ServiceAccount": "v1", "ConfigMap": "v1", "Pod": "v1",
    "DaemonSet": "apps/v1", "RuntimeClass": "node.k8s.io/v1",
    "ValidatingAdmissionPolicy": "admissionregistration.k8s.io/v1",
    "ValidatingAdmissionPolicyBinding": "admissionregistration.k8s.io/v1",
}
PLAIN = {
    ("string", ""): {"type": "string"},
    ("string", "byte"): {"type": "string", "contentEncoding": "base64"},
    ("boolean", ""): {"type": "boolean"},
    ("number", "int32"): {"type": "integer", "minimum": -2**31, "maximum": 2**31 - 1},
    ("number", "int64"): {"type": "integer"},
    ("Date", "date-time"): {"type": "string", "format": "date-time"},
    ("IntOrString", "int-or-string"): {"type": ["integer", "string"]},
    ("any", ""): {},
}
FIELD = re.compile(r'\{\s*"name": "[^"]*",\s*"baseName": "([^"]*)",\s*"type": "([^"]*)",'
                   r'\s*"format": "([^"]*)"\s*\}')


def read(folder, name):
    with open(os.path.join(folder, name), encoding="utf-8") as file:
        return file.read()


def type_of(text, form, wanted):
    """The schema of a field's type; models that it names are added to wanted."""
    array = re.fullmatch(r"Array<(.*)>", text)
    table = re.fullmatch(r"\{ \[key: string\]: (.*); \}", text)
    if array:
        return {"type": "array", "items": type_of(array.group(1), form, wanted)}
    if table:
        return {"type": "object", "additionalProperties": type_of(table.group(1), form, wanted)}
    if (text, form) in PLAIN:
        return PLAIN[text, form]
    if not re.fullmatch(r"\w*V\d\w*", text):
        raise SystemExit(f"a type that this script does not know: {text} ({form})")
    wanted.append(text)
    return {"$ref": f"#/definitions/{text}"}


def model(folder, name, wanted):
    declaration = read(folder, name + ".d.ts")
    properties, required = {}, []
    for field, text, form in FIELD.findall(read(folder, name + ".js")):
        properties[field] = type_of(text, form, wanted)
        if re.search(rf"^    '_?{re.escape(field)}': ", declaration, re.M):
            required.append(field)
    schema = {"type": "object", "additionalProperties": False, "properties": properties}
    if required:
        schema["required"] = required
    return schema


def main():
    folder = os.path.join(sys.argv[1], "dist/gen/models")
    definitions, wanted = {}, [f"V1{kind}" for kind in ROOTS]
    while wanted:
        name = wanted.pop()
        if name not in definitions:
            definitions[name] = model(folder, name, wanted)
    for kind, version in ROOTS.items():
        definitions[f"V1{kind}"]["properties"].update(
            kind={"const": kind}, apiVersion={"const": version})
        definitions[f"V1{kind}"].setdefault("required", []).extend(
            ["apiVersion", "kind", "metadata"])
    json.dump({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$comment": "Made by trim.py beside this; README.md names origin and licence.",
        "roots": {kind: f"#/definitions/V1{kind}" for kind in ROOTS},
        "definitions": dict(sorted(definitions.items())),
    }, sys.stdout, indent=1, sort_keys=True)
    print()


if __name__ == "__main__":
    main()
