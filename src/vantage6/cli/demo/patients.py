"""Made-up patients: a table per site, the same at every start, different at every site."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

COLUMNS = ("gender", "age", "height", "weight", "isOverweight", "ageGroup")
_SEED = 2_026
_AGE_GROUPS = {"<40": 40, "40-64": 65, "65+": 200}


def patient_table(site: int, sites: int) -> pd.DataFrame:
    """Make up the patients of one site.

    Sites differ in size, in their patients' age and weight, and in how much is missing. The last
    of several sites writes ``isOverweight`` as ``yes``/``no`` where the others write 1/0, as
    happens before a study has agreed on its codes: a task over that column fails there only.

    Parameters
    ----------
    site
        Which site, from 0.
    sites
        How many sites there are.

    Returns
    -------
    pandas.DataFrame
        One patient per row; columns `COLUMNS`. Ages in years, height in cm, weight in kg.
    """
    random = np.random.default_rng([_SEED, site])
    rows = int(random.integers(180, 900))
    male = random.random(rows) < random.uniform(0.4, 0.6)
    age = np.clip(random.normal(random.uniform(46, 66), random.uniform(9, 14), rows), 18, 97)
    height = random.normal(np.where(male, 180.5, 167.5), 6.8)
    bmi = np.clip(random.normal(random.uniform(23.5, 27.5), 3.6, rows), 15.5, 46)
    weight = bmi * (height / 100) ** 2

    table = pd.DataFrame(
        {
            "gender": np.where(male, "M", "F"),
            "age": age.round().astype("int64"),
            "height": height.round(1),
            "weight": weight.round(1),
        }
    ).astype({"age": "Int64"})
    for column in ("age", "height", "weight"):
        table.loc[random.random(rows) < random.uniform(0.01, 0.06), column] = pd.NA

    overweight = (table["weight"] / (table["height"] / 100) ** 2 >= 25).astype("Int64")
    known = table["height"].notna() & table["weight"].notna()
    table["isOverweight"] = overweight.where(known)
    if sites > 1 and site == sites - 1:
        table["isOverweight"] = table["isOverweight"].map({1: "yes", 0: "no"})
    table["ageGroup"] = pd.cut(
        table["age"].astype("float64"),
        bins=[0, *_AGE_GROUPS.values()],
        labels=list(_AGE_GROUPS),
        right=False,
    )
    return table


def write_patient_table(path: Path, site: int, sites: int) -> None:
    """Write the patients of one site as CSV; missing values are empty."""
    path.parent.mkdir(parents=True, exist_ok=True)
    patient_table(site, sites).to_csv(path, index=False)
