#!/usr/bin/env python3
"""Run the tests of a build tree: GoogleTest through ctest, then lit.

    tools/dev/run-tests.py --build DIR [--also DIR] [--quick|--runtime|--e2e]

Kernels are compiled once for all tests of a build: QUERN_CACHE_DIR, where it is
not set, is DIR/kernels. --also adds the GoogleTests of another build tree, as
far as it is built: the sanitizers'. Ends with one line, `N passed, N failed, N
skipped`, and exit code 1 where a test failed or none ran. The check-quern
targets call this.
"""
import argparse
import json
import os
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))


def is_skipped(case):
    """GTEST_SKIP, as against a test whose program is missing."""
    note = case.find("skipped")
    return note is not None and "SKIP" in note.get("message", "") \
        or case.get("status") == "disabled"


def run_ctest(build, select, jobs):
    """The number of passed tests, the names of the failed and skipped."""
    report = os.path.join(build, "ctest.xml")
    if os.path.exists(report):
        os.remove(report)
    command = ["ctest", "--test-dir", build, "-j", str(jobs), "--progress",
               "--output-on-failure", "--no-tests=ignore",
               "--output-junit", report] + select
    code = subprocess.run(command).returncode
    passed, failed, skipped = 0, [], []
    if not os.path.exists(report):
        return passed, ["ctest (no report written)"] if code else [], skipped
    for case in ET.parse(report).getroot().iter("testcase"):
        status = case.get("status")
        if status == "run" and case.find("failure") is None:
            passed += 1
        elif is_skipped(case):
            skipped.append(case.get("name"))
        else:
            failed.append(case.get("name"))
    return passed, failed, skipped


def run_lit(build, select, jobs):
    lit = os.environ.get("QUERN_LIT") or shutil.which("lit-22") \
        or shutil.which("lit")
    if not lit or lit.endswith("NOTFOUND"):
        print("quern: warning: lit was not found; lit tests are skipped")
        return 0, [], ["all lit tests (lit is missing)"]
    report = os.path.join(build, "lit.json")
    if os.path.exists(report):
        os.remove(report)
    command = [lit, "-v", "-j", str(jobs), "-o", report,
               os.path.join(build, "test")] + select
    code = subprocess.run(command).returncode
    if not os.path.exists(report):
        return 0, ["lit (no report written)"] if code else [], []
    passed, failed, skipped = 0, [], []
    with open(report) as f:
        tests = json.load(f)["tests"]
    for test in tests:
        if test["code"] in ("PASS", "FLAKYPASS", "XFAIL"):
            passed += 1
        elif test["code"] in ("UNSUPPORTED", "SKIPPED"):
            skipped.append(test["name"])
        elif test["code"] != "EXCLUDED":
            failed.append(test["name"])
    return passed, failed, skipped


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", default=os.path.join(ROOT, "build", "release"))
    parser.add_argument("--also", help="another build tree")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--quick", action="store_true", help="no whole models")
    which.add_argument("--runtime", action="store_true", help="runtime/ alone")
    which.add_argument("--e2e", action="store_true", help="whole models only")
    args = parser.parse_args()
    build = os.path.abspath(args.build)
    # Hundreds of tests compile the same few kernels.
    os.environ.setdefault("QUERN_CACHE_DIR", os.path.join(build, "kernels"))
    ctest, lit = [], []
    if args.quick:
        ctest, lit = ["-LE", "e2e"], ["--filter-out", "e2e/"]
    elif args.runtime:
        ctest, lit = ["-L", "runtime"], ["--filter", "runtime/"]
    elif args.e2e:
        ctest, lit = ["-L", "e2e"], ["--filter", "e2e/"]
    print("== GoogleTest", flush=True)
    results = [run_ctest(build, ctest, args.jobs)]
    if args.also:
        print(f"== GoogleTest of {args.also}", flush=True)
        results.append(run_ctest(os.path.abspath(args.also),
                                 ctest + ["-E", "_NOT_BUILT$"], args.jobs))
    print("== lit", flush=True)
    results.append(run_lit(build, lit, args.jobs))
    passed = sum(r[0] for r in results)
    failed = [name for r in results for name in r[1]]
    skipped = [name for r in results for name in r[2]]
    for name in skipped:
        print("skipped:", name)
    for name in failed:
        print("FAILED:", name)
    print(f"{passed} passed, {len(failed)} failed, {len(skipped)} skipped")
    sys.exit(1 if failed or not passed else 0)


if __name__ == "__main__":
    main()
