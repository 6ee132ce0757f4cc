"""usage: PYTHONPATH=CHECKS python check_azure.py GRAPH CHECKS/data/azure [--arm FILE]

The shared azure_check.py, told what the provider does with five kinds of names before it sends them, which the checker takes for names of
the API. Nothing is let through by it: each value is checked as what it is on the wire (test_check_azure.py). Further, a warning that
docs/checks.md does not explain counts as an error. See there for the sources.
"""
import os
import re

import azure_check

DOCS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "docs", "checks.md")

# (type in Resource Manager, name in the SDK) -> name on the wire. The SDK's names are the API's in lower camel case: no dots, no underscores.
azure_check.RENAMES.update({
    ("Microsoft.Insights/components", "applicationType"): "Application_Type",
    ("Microsoft.Insights/components", "flowType"): "Flow_Type",
    ("Microsoft.Insights/components", "requestSource"): "Request_Source",
    # Parts of the path, which the API shows as the resource's name.
    ("Microsoft.Storage/storageAccounts/tableServices/tables", "tableName"): "name",
    ("Microsoft.Storage/storageAccounts/blobServices", "blobServicesName"): "name",
})

# Name of a discriminator in the SDK -> on the wire.
DISCRIMINATORS = {"odataType": "odata.type"}

# Objects on the wire whose keys alone say something: lists of text in the SDK.
SETS = {"userAssignedIdentities"}


def on_the_wire(value):
    """What the provider makes of inputs, wherever they lie."""
    if isinstance(value, list):
        return [on_the_wire(each) for each in value]
    if not isinstance(value, dict):
        return value
    return {DISCRIMINATORS.get(key, key): as_set(each) if key in SETS else on_the_wire(each) for key, each in value.items()}


def as_set(value):
    """Only lists of text: whatever else it is, the checker is to see it."""
    return {each: {} for each in value} if isinstance(value, list) and all(isinstance(each, str) for each in value) else value


def check(resource, data, shared=azure_check.check):
    arm, found = shared({**resource, "inputs": on_the_wire(azure_check.unwrap(resource["inputs"]))}, data)
    return arm, [explained(resource["type"], *each) for each in found]


def explained(kind, level, name, path, message):
    """The same, but a warning that docs/checks.md says nothing of is an error."""
    if level != "WARN":
        return level, name, path, message
    about = f"{kind} {re.sub('^[$.]+', '', path)}".strip()
    with open(DOCS, encoding="utf8") as docs:
        if f"`{about}`" in docs.read():
            return level, name, path, message
    return "ERROR", name, path, f"{message} (docs/checks.md does not explain `{about}`)"


azure_check.check = check

if __name__ == "__main__":
    azure_check.main()
