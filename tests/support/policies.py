# SPDX-License-Identifier: MIT
"""What the tool says of a policy."""
import os
import subprocess
import tempfile

TOOL = os.path.join(os.environ["FDBROKER_BUILD"], "cli", "fdbroker")

POLICY = """map /var/run /run
subject readers {
	user 1000-1999
	allow read /run/app/*.log /srv/%U/**
	deny read /run/app/private-*
}
subject admins {
	user 1000-1999
	group 4
	allow read,write /srv/all
}
expect allow user 1001 read /var/run/app/x.log
expect deny user 1001 read /run/app/private-x.log
"""


def run(*arguments, policy=None, name="policy"):
    """(status, standard output, standard error), with the policy's own path taken out."""
    with tempfile.TemporaryDirectory() as place:
        path = os.path.join(place, name)
        if policy is not None:
            with open(path, "w", encoding="latin-1") as stream:
                stream.write(policy)
            os.chmod(path, 0o644)
        command, *rest = [path if a == "POLICY" else a for a in arguments]
        done = subprocess.run([TOOL, command, *rest], capture_output=True, text=True, timeout=20)
        after = None
        if policy is not None:
            with open(path, encoding="latin-1") as stream:
                after = stream.read()
        run.after = after
        return done.returncode, done.stdout.replace(path, "P"), done.stderr.replace(path, "P")


def explain(*arguments):
    return run("explain", "--policy", "POLICY", *arguments, policy=POLICY)
