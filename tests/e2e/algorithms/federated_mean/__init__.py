"""The mean of a column, as an outsider writes it; it runs on upstream's tools and on ours."""

from pathlib import Path

from vantage6.algorithm.tools.decorators import algorithm_client, data, metadata
from vantage6.algorithm.tools.util import get_env_var, info


@data(1)
def partial(df, column):
    """Sum and number of a column's values."""
    info(f"Summing {len(df)} rows")
    return {"sum": float(df[column].sum()), "count": int(df[column].count())}


@algorithm_client
def central(client, column, organizations):
    """The mean over organizations' tables."""
    task = client.task.create(
        input_={"method": "partial", "args": [column], "kwargs": {}},
        organizations=organizations,
        name="partial",
        description="sum and count",
    )
    info("Waiting for the shares")
    shares = client.wait_for_results(task_id=task["id"], interval=1)
    return {
        "mean": sum(share["sum"] for share in shares) / sum(share["count"] for share in shares),
        "shares": len(shares),
    }


@algorithm_client
def look_around(client, organization):
    """What the client's other calls give, of a subtask at one organization among them."""
    task = client.task.create(
        input_={"method": "whereabouts", "args": [], "kwargs": {}}, organizations=[organization]
    )
    (where,) = client.wait_for_results(task_id=task["id"])
    (run,) = client.run.from_task(task["id"])
    return {
        "where": where,
        "task": client.task.get(task["id"])["status"],
        "run": client.run.get(run["id"])["status"],
        "result": client.result.get(run["id"]),
        "collaboration": client.collaboration.get()["name"],
        "organization": client.organization.get(organization)["name"],
        "organizations": sorted(each["name"] for each in client.organization.list()),
        "studies": client.study.list(),
        "mine": client.organization_id,
    }


@metadata
def whereabouts(given):
    """Where the node has put this run."""
    note = Path(given.temporary_directory) / "note"
    note.write_text("kept for the job")
    return {
        "organization": given.organization_id,
        "collaboration": given.collaboration_id,
        "note": note.read_text(),
        "setting": get_env_var("SETTING"),
    }


def fail():
    """Fail with words that only this algorithm knows."""
    raise ValueError("the moon is in the wrong house")
