# How the two kinds of files beside this one were made: python3 schemas.py DEFINITIONS OUT | --operator CRDS... OUT
import json
import sys

KINDS = "ConfigMap Service ServiceAccount Deployment StatefulSet Job PodDisruptionBudget NetworkPolicy Ingress".split()


def pruned(node):
    if isinstance(node, dict):
        return {
            key: {name: pruned(part) for name, part in value.items()} if key == "properties" else pruned(value)
            for key, value in node.items()
            if key not in ("description", "format") and not key.startswith("x-kubernetes")
        }
    if isinstance(node, list):
        parts = [pruned(part) for part in node if part != "null"]
        return parts[0] if len(parts) == 1 and parts != node else parts
    return node


def closed(node):
    if isinstance(node, dict):
        if node.get("type") == "object" and "properties" in node:
            node.setdefault("additionalProperties", False)
        for part in node.values():
            closed(part)
    elif isinstance(node, list):
        for part in node:
            closed(part)


def referred(node):
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"].rsplit("/", 1)[1]
        for part in node.values():
            yield from referred(part)
    elif isinstance(node, list):
        for part in node:
            yield from referred(part)


def kubernetes(path):
    every, kinds, kept = json.load(open(path))["$defs"], {}, {}
    for name, schema in every.items():
        groups = schema.get("x-kubernetes-group-version-kind", [])
        if len(groups) == 1 and groups[0]["kind"] in KINDS and groups[0]["version"] == "v1":
            kinds["/".join(filter(None, [groups[0]["group"], "v1"])) + " " + groups[0]["kind"]] = name
    todo = list(kinds.values())
    while todo:
        name = todo.pop()
        if name not in kept:
            kept[name] = pruned(every[name])
            todo += referred(kept[name])
    for name in kinds.values():
        kept[name]["required"] = ["apiVersion", "kind", "metadata"]
    return {"kinds": kinds, "$defs": kept}


def operator(paths):
    import yaml

    kinds, kept = {}, {}
    for path in paths:
        crd = yaml.safe_load(open(path))["spec"]
        kind = crd["names"]["kind"]
        schema = pruned([version for version in crd["versions"] if version["name"] == "v1"][0]["schema"]["openAPIV3Schema"])
        schema["properties"]["metadata"] = {"$ref": "#/$defs/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"}
        schema["properties"].pop("status", None)
        closed(schema)
        kinds[crd["group"] + "/v1 " + kind], kept[kind] = kind, schema
    return {"kinds": kinds, "$defs": kept}


made = operator(sys.argv[2:-1]) if sys.argv[1] == "--operator" else kubernetes(sys.argv[1])
with open(sys.argv[-1], "w") as out:
    json.dump(made, out, sort_keys=True, indent=0, separators=(",", ":"))
    out.write("\n")
