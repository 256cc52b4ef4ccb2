"""Runs Django's BaseCacheTests on PerfcoreCache; the last line printed is JSON of what went wrong in each.

Called with JSON of LOCATION, OPTIONS, names of tests and whether those are to be run or all others, with
Django's folder of tests on the path.
"""

import json
import sys
import unittest

import django
from django.conf import settings

LOCATION, OPTIONS, NAMED, ONLY = json.loads(sys.argv[1])


class Outcomes(unittest.TestResult):
    def __init__(self):
        super().__init__()
        self.found = {}

    def startTest(self, test):  # noqa: N802
        super().startTest(test)
        self.found[test._testMethodName] = None

    def note(self, test, error):
        name = getattr(test, "test_case", test)._testMethodName
        self.found[name] = self._exc_info_to_string(error, test)

    def addError(self, test, error):  # noqa: N802
        self.note(test, error)

    addFailure = addError  # noqa: N815

    def addSkip(self, test, reason):  # noqa: N802
        self.found[test._testMethodName] = f"skipped: {reason}"

    def addSubTest(self, test, subtest, error):  # noqa: N802
        if error is not None:
            self.note(subtest, error)


def main():
    settings.configure(
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
        INSTALLED_APPS=["cache"],
        SECRET_KEY="tests",
        USE_TZ=False,
        ROOT_URLCONF="cache.tests",
        CACHE_MIDDLEWARE_SECONDS=600,
    )
    django.setup()
    from cache import tests as theirs
    from django.test import TestCase, override_settings
    from django.test.runner import DiscoverRunner

    params = {"BACKEND": "perfcore.integrations.django.PerfcoreCache", "LOCATION": LOCATION}
    caches = theirs.caches_setting_for_tests(**params)
    for made in caches.values():  # theirs have OPTIONS of their own
        made["OPTIONS"] = {**OPTIONS, **made.get("OPTIONS", {})}

    class PerfcoreCacheTests(theirs.BaseCacheTests, TestCase):
        pass

    suite = unittest.defaultTestLoader.loadTestsFromTestCase(
        override_settings(CACHES=caches)(PerfcoreCacheTests)
    )
    suite = unittest.TestSuite(test for test in suite if (test._testMethodName in NAMED) == ONLY)
    runner = DiscoverRunner(verbosity=0, interactive=False)
    runner.setup_test_environment()
    databases = runner.setup_databases()
    result = Outcomes()
    suite.run(result)
    runner.teardown_databases(databases)
    print(json.dumps(result.found))


main()
