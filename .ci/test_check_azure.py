"""What is found by way of check_azure.py: right declarations pass, wrong ones do not, whatever the provider calls their properties."""
import os
import unittest

import azure_check
from check_azure import check

DATA = os.path.join(os.path.dirname(azure_check.__file__), "data", "azure")

INSIGHTS = {"resourceGroupName": "g", "location": "l", "kind": "web", "applicationType": "web", "flowType": "Bluefield", "requestSource": "rest"}
IDENTITY = "/subscriptions/s/resourceGroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/i"
APP = {"resourceGroupName": "g", "location": "l", "name": "a", "identity": {"type": "UserAssigned", "userAssignedIdentities": [IDENTITY]}}
CRITERION = {
    "criterionType": "StaticThresholdCriterion", "name": "m", "metricName": "m", "operator": "GreaterThan", "threshold": 0,
    "timeAggregation": "Total",
}
CRITERIA = {"odataType": "Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria", "allOf": [CRITERION]}
ALERT = {
    "resourceGroupName": "g", "ruleName": "r", "location": "global", "enabled": True, "severity": 1, "scopes": ["s"],
    "evaluationFrequency": "PT1M", "windowSize": "PT5M", "criteria": CRITERIA,
}
BLOBS = {"resourceGroupName": "g", "accountName": "account", "blobServicesName": "default"}
TABLE = {"resourceGroupName": "g", "accountName": "account", "tableName": "ImageTags"}


def without(values, key):
    return {each: value for each, value in values.items() if each != key}


def found(kind, inputs):
    _, errors = check({"type": f"azure-native:{kind}", "name": "it", "inputs": inputs}, DATA)
    return [f"{level} {path}: {message}" for level, _, path, message in errors]


class CheckOfAzure(unittest.TestCase):
    def test_what_is_right_passes(self):
        right = {
            "applicationinsights:Component": INSIGHTS, "web:WebApp": APP, "monitor:MetricAlert": ALERT,
            "storage:BlobServiceProperties": BLOBS, "storage:Table": TABLE,
        }
        for kind, inputs in right.items():
            with self.subTest(kind=kind):
                self.assertEqual(found(kind, inputs), [])

    def test_what_is_wrong_does_not(self):
        several = {**CRITERIA, "odataType": "Microsoft.Azure.Monitor.Several"}
        for kind, inputs, message in [
            ("applicationinsights:Component", {**INSIGHTS, "requestSource": 1}, "$.requestSource: matches no alternative"),
            ("applicationinsights:Component", {**INSIGHTS, "flow": "x"}, "$.flow: unknown property"),
            ("applicationinsights:Component", without(INSIGHTS, "applicationType"), "$.Application_Type: required by the API, missing"),
            ("web:WebApp", {**APP, "identity": {"type": "UserAssigned", "userAssignedIdentities": [1]}}, "expected object, got list"),
            ("web:WebApp", {**APP, "identity": {"type": "Assigned"}}, "'Assigned' not one of"),
            ("monitor:MetricAlert", {**ALERT, "criteria": several}, "'Microsoft.Azure.Monitor.Several' not one of"),
            ("monitor:MetricAlert", {**ALERT, "criteria": {**CRITERIA, "allOf": [without(CRITERION, "operator")]}}, "operator: required"),
            ("storage:BlobServiceProperties", {**BLOBS, "blobServicesName": "other"}, "must be 'default'"),
            ("storage:BlobServiceProperties", {**BLOBS, "versioning": True}, "$.versioning: unknown property"),
            ("storage:Table", {**TABLE, "signedIdentifiers": "x"}, "expected array"),
        ]:
            with self.subTest(kind=kind, message=message):
                errors = found(kind, inputs)
                self.assertTrue(any(each.startswith("ERROR") and message in each for each in errors), errors)

    def test_types_that_nobody_has_looked_at_are_errors(self):
        [error] = found("storage:Unheard", {})
        self.assertTrue(error.startswith("ERROR"))
        self.assertIn("docs/checks.md does not explain `azure-native:storage:Unheard`", error)


if __name__ == "__main__":
    unittest.main(warnings="ignore")
