"""What is found by way of check_aws.py: lines that docs/checks.md explains pass, any other does not."""
import unittest

from check_aws import names, unexplained

DOCS = "| `UNMAPPED …Integration.timeoutMilliseconds` | `SKIPPED sns/topicPolicy`, `SKIPPED sqs/queuePolicy` |"
TYPES = names([{"name": "photos-http-integration", "type": "aws:apigatewayv2/integration:Integration"}])


class CheckOfAws(unittest.TestCase):
    def test_what_is_explained_passes(self):
        lines = [
            "UNMAPPED photoshttpintegrationIntegration.timeoutMilliseconds",
            "UNMAPPED photos-http-integration.timeoutMilliseconds",
            "SKIPPED sns/topicPolicy:TopicPolicy photos-results-policy: no converter",
            "SKIPPED sqs/queuePolicy:QueuePolicy photos-dead-letters-policy: no converter",
            "aws_check: 88 resources, 70 converted to CloudFormation, 0 errors, 0 warnings, 1 unmapped keys, 3 not converted",
        ]
        self.assertEqual(unexplained(lines, TYPES, DOCS), [])

    def test_any_other_line_is_an_error(self):
        lines = ["UNMAPPED photos-http-integration.timeout", "SKIPPED sns/topicSubscription:TopicSubscription email: no converter"]
        self.assertEqual(unexplained(lines, TYPES, DOCS), ["SKIPPED sns/topicSubscription", "UNMAPPED …Integration.timeout"])


if __name__ == "__main__":
    unittest.main(warnings="ignore")
