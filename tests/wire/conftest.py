"""The lab: one Postfix, one Sendmail and a sink for all tests.

Each test starts a postern of its own at the socket that both MTAs know.
"""

import os
import subprocess
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

from mta_postfix import Postfix  # noqa: E402
from mta_sendmail import Sendmail  # noqa: E402
from net import private_directory  # noqa: E402
from postern import ROOT, Postern, program  # noqa: E402
from sink import Sink  # noqa: E402


@pytest.fixture(scope="session")
def lab():
    if os.geteuid() != 0:
        pytest.skip("a private MTA needs root")
    path = private_directory()
    undertaker = subprocess.Popen(
        [sys.executable, f"{HERE}/undertaker.py", path],
        stdin=subprocess.PIPE, start_new_session=True)
    yield path
    undertaker.stdin.close()
    undertaker.wait(60)


@pytest.fixture(scope="session")
def milter(lab):
    """Where the MTAs look for the filter."""
    return f"{lab}/postern.sock"


@pytest.fixture(scope="session")
def sink():
    one = Sink()
    yield one
    one.stop()


def running(mta):
    try:
        mta.start()
        yield mta
    finally:
        mta.stop()


@pytest.fixture(scope="session")
def shared_postfix(lab, milter, sink):
    why = Postfix.missing()
    if why:
        pytest.skip(why)
    yield from running(Postfix(lab, milter, sink))


@pytest.fixture(scope="session")
def shared_sendmail(lab, milter, sink):
    cache = os.environ.get("SENDMAIL_CACHE", f"{ROOT}/build/sendmail")
    why = Sendmail.missing(cache)
    if why:
        pytest.skip(why)
    yield from running(Sendmail(lab, milter, sink, cache))


def fresh(mta, sink):
    mta.empty()
    sink.clear()
    return mta


@pytest.fixture
def postfix(shared_postfix, sink):
    return fresh(shared_postfix, sink)


@pytest.fixture
def sendmail(shared_sendmail, sink):
    return fresh(shared_sendmail, sink)


@pytest.fixture(params=["postfix", "sendmail"])
def mta(request):
    """Both MTAs, one after the other."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def postern(lab, milter):
    """postern(rules, ...) starts a daemon; its end is checked after the test."""
    if program() is None:
        pytest.skip("build/postern is not built")
    started = []

    def start(rules, run=True, **more):
        one = Postern(lab, milter, rules, **more)
        started.append(one)
        return one.start() if run else one
    yield start
    try:
        for one in started:
            if one.child:
                one.stop()
            assert not one.complaints, "\n".join(one.complaints[:60])
    finally:
        for one in started:
            one.kill()
