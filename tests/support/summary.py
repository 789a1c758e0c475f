"""Sums up JUnit files into the last line of tests/run.

summary.py DIRECTORY suite=status ...

Each suite must have left DIRECTORY/suite.xml with at least one test. One that
did not, or that failed without a failed test in its file, counts as one
failure: a suite that could not run is not a suite that passed.
"""

import json
import pathlib
import sys
import xml.etree.ElementTree as ET


def count(path):
    """(passed, failed, skipped) and the names of what failed."""
    passed, skipped, failures = 0, 0, []
    for case in ET.parse(path).getroot().iter("testcase"):
        if case.find("failure") is not None or case.find("error") is not None:
            failures.append(
                "%s %s" % (case.get("classname", ""), case.get("name"))
            )
        elif case.find("skipped") is not None:
            skipped += 1
        else:
            passed += 1
    return passed, failures, skipped


def programs_that_died(path):
    """Of unit tests: a program that crashes or is too slow leaves the tests
    it did not get to out of its results."""
    if not path.exists():
        return []
    results = [json.loads(line) for line in path.read_text().splitlines()]
    return ["%s ended with %s, status %s" % (one["name"], one["result"], one["returncode"])
            for one in results if one["result"] not in ("OK", "SKIP")]


def main():
    directory = pathlib.Path(sys.argv[1])
    passed, failed, skipped = 0, 0, 0
    print()
    for argument in sys.argv[2:]:
        suite, _, status = argument.partition("=")
        try:
            good, failures, left_out = count(directory / (suite + ".xml"))
        except (OSError, ET.ParseError) as error:
            good, failures, left_out = 0, ["no result: %s" % error], 0
        failures = failures or programs_that_died(directory / (suite + ".json"))
        if not failures and (status != "0" or good + left_out == 0):
            failures = ["ended with status %s" % status]
        print(
            "%-18s %5d passed, %d failed, %d skipped"
            % (suite, good, len(failures), left_out)
        )
        for failure in failures:
            print("    FAILED %s" % failure)
        passed += good
        failed += len(failures)
        skipped += left_out
    line = "%d passed, %d failed" % (passed, failed)
    print(line + (", %d skipped" % skipped if skipped else ""))
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
