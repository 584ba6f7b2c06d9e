"""Promises and results on disk."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from vantage6.node.journal import Entry, Journal, JournalError, Outcome, Phase, Ticket


def ticket(run_id: int = 1) -> Ticket:
    return Ticket(run_id, task_id=2, job_id=3, init_org_id=4, parent_id=None)


def outcome(result: str = "eyJ9", status: str = "completed") -> Outcome:
    return Outcome(status=status, log="l", finished_at="t2", result=result, started_at="t1")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.sqlite"


def test_a_run_goes_through_its_phases(path: Path) -> None:
    with Journal(path) as journal:
        assert journal.accept(ticket()) == Entry(ticket(), Phase.ACCEPTED, 1)
        assert journal.start(1) == Entry(ticket(), Phase.STARTED, 1)
        assert journal.compute(1, outcome()) == Entry(ticket(), Phase.COMPUTED, 1, outcome())
        journal.forget(1)
        assert journal.entries() == []


def test_everything_is_there_for_the_next_process(path: Path) -> None:
    with Journal(path) as journal:
        journal.accept(ticket(1))
        journal.accept(ticket(2))
        journal.start(2)
        journal.accept(ticket(3))
        journal.compute(3, outcome())
    with Journal(path) as journal:
        assert journal.entries() == [
            Entry(ticket(1), Phase.ACCEPTED, 1),
            Entry(ticket(2), Phase.STARTED, 1),
            Entry(ticket(3), Phase.COMPUTED, 1, outcome()),
        ]


def test_a_change_is_on_disk_before_the_method_returns(path: Path) -> None:
    with Journal(path) as journal:
        journal.accept(ticket())
        journal.compute(1, outcome())
        other = sqlite3.connect(path)
        assert other.execute("SELECT phase, result FROM run").fetchall() == [("computed", "eyJ9")]
        other.close()


def test_accepting_a_lost_run_begins_another_attempt(path: Path) -> None:
    with Journal(path) as journal:
        journal.accept(ticket())
        journal.start(1)
        assert journal.accept(ticket()) == Entry(ticket(), Phase.ACCEPTED, 2)


def test_a_computed_run_is_never_promised_or_computed_again(path: Path) -> None:
    with Journal(path) as journal:
        journal.accept(ticket())
        computed = journal.compute(1, outcome("first"))
        assert journal.accept(ticket()) == computed
        assert journal.start(1) == computed
        assert journal.compute(1, outcome("second")) == computed


def test_an_outcome_can_be_replaced_by_a_deliverable_one(path: Path) -> None:
    with Journal(path) as journal:
        journal.accept(ticket())
        journal.compute(1, outcome())
        entry = journal.replace(1, outcome("", "failed"))
        assert entry.outcome is not None
        assert (entry.outcome.status, entry.outcome.result) == ("failed", "")


def test_a_run_that_was_never_accepted_is_a_fault(path: Path) -> None:
    with Journal(path) as journal, pytest.raises(KeyError, match="Run 9 is not in the journal"):
        journal.start(9)


def test_only_the_owner_can_read_it(path: Path) -> None:
    with Journal(path):
        assert path.stat().st_mode & 0o777 == 0o600


def test_it_belongs_to_one_node(path: Path) -> None:
    with Journal(path) as journal:
        journal.belongs_to("http://a/api", 1)
        journal.belongs_to("http://a/api", 1)
        journal.belongs_to("http://b/api", 2)  # nothing undelivered: nothing to mistake
        journal.accept(ticket())
        with pytest.raises(JournalError, match=r"node 2 at http://b/api.*state_dir"):
            journal.belongs_to("http://b/api", 3)
        journal.belongs_to("http://b/api", 2)


def test_a_damaged_journal_is_refused_with_advice(path: Path) -> None:
    path.write_bytes(b"not a database" * 1000)
    with pytest.raises(JournalError, match="cannot be read"):
        Journal(path)


def test_a_journal_of_a_later_version_is_refused(path: Path) -> None:
    with Journal(path):
        pass
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(JournalError, match="Upgrade the node"):
        Journal(path)


run_ids = st.integers(min_value=1, max_value=4)


class JournalMachine(RuleBasedStateMachine):
    """Whatever happens in whatever order: the journal agrees with this model of it."""

    @initialize()
    def begin(self) -> None:
        self.model: dict[int, Entry] = {}
        self.journal = Journal(Path(self.folder) / "journal.sqlite")
        for entry in self.journal.entries():
            self.journal.forget(entry.ticket.run_id)

    @rule(run_id=run_ids)
    def accept(self, run_id: int) -> None:
        old = self.model.get(run_id)
        if old is None or old.phase is not Phase.COMPUTED:
            attempt = old.attempt + 1 if old else 1
            self.model[run_id] = Entry(ticket(run_id), Phase.ACCEPTED, attempt)
        assert self.journal.accept(ticket(run_id)) == self.model[run_id]

    @rule(run_id=run_ids)
    def start(self, run_id: int) -> None:
        old = self.model.get(run_id)
        if old is None:
            return
        if old.phase is Phase.ACCEPTED:
            self.model[run_id] = Entry(old.ticket, Phase.STARTED, old.attempt)
        self.journal.start(run_id)

    @rule(run_id=run_ids, text=st.text())
    def compute(self, run_id: int, text: str) -> None:
        old = self.model.get(run_id)
        if old is None:
            return
        result = outcome(text)
        if old.phase is not Phase.COMPUTED:
            self.model[run_id] = Entry(old.ticket, Phase.COMPUTED, old.attempt, result)
        self.journal.compute(run_id, result)

    @rule(run_id=run_ids)
    def forget(self, run_id: int) -> None:
        self.model.pop(run_id, None)
        self.journal.forget(run_id)

    @rule()
    def restart(self) -> None:
        self.journal.close()
        self.journal = Journal(Path(self.folder) / "journal.sqlite")

    @invariant()
    def agrees(self) -> None:
        assert self.journal.entries() == [self.model[key] for key in sorted(self.model)]

    def teardown(self) -> None:
        if hasattr(self, "journal"):
            self.journal.close()


def test_the_journal_agrees_with_a_model_of_it(tmp_path: Path) -> None:
    from hypothesis.stateful import run_state_machine_as_test

    machine = type("Machine", (JournalMachine,), {"folder": str(tmp_path)})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=20,
            stateful_step_count=20,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_a_journal_of_the_first_schema_is_taken_up(path: Path) -> None:
    """As the first version wrote it, with an outcome that is not delivered yet."""
    db = sqlite3.connect(path)
    db.executescript(
        """
        CREATE TABLE run (
            run_id INTEGER PRIMARY KEY, task_id INTEGER NOT NULL, job_id INTEGER NOT NULL,
            init_org_id INTEGER NOT NULL, parent_id INTEGER, phase TEXT NOT NULL,
            attempt INTEGER NOT NULL, status TEXT, log TEXT, result TEXT, started_at TEXT,
            finished_at TEXT
        ) STRICT;
        CREATE TABLE identity (server TEXT NOT NULL, node_id INTEGER NOT NULL) STRICT;
        INSERT INTO run VALUES
            (1, 2, 3, 4, NULL, 'computed', 1, 'completed', 'l', 'eyJ9', 't1', 't2');
        PRAGMA user_version = 1;
        """
    )
    db.close()
    with Journal(path) as journal:
        assert journal.entries() == [Entry(ticket(), Phase.COMPUTED, 1, outcome())]
        journal.accept(ticket(2))
        large = Outcome("completed", "l", "t2", started_at="t1", large=True)
        assert journal.compute(2, large).outcome == large
    with Journal(path) as journal:
        assert [entry.outcome for entry in journal.entries()] == [outcome(), large]
