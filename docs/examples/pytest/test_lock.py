"""pytest: the job beside it does not overlap with itself. The text of a failure is what lockproof found."""
import json
import subprocess
from pathlib import Path

HERE = Path(__file__).parent


def explore(*job: str, schema: Path) -> dict:
    command = ["lockproof", "explore", "--format", "json", "--times", "3", "--schema", str(schema), "--", *job]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_refill_holds_in_every_order_that_was_predicted():
    job = HERE / "../price-list/refill-xact.sh"
    found = explore("sh", str(job), schema=HERE / "../price-list/schema.sql")
    assert found["violations"] == 0 and found["schedules"] > 0
