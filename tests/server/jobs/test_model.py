"""Test the table of jobs against a model: dictionaries in a list, changed by the rules of its documentation."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from avscene.server.jobs import Job, JobError, JobState, JobStateError, JobTable, QueueFullError
from tests.support.jobs import Clock, outline, queued, request

MOST = 6  # jobs that wait or run
OWNERS = st.sampled_from(["a", "b"])
SCENES = ["tram", "Metro", "park"]
ERROR = JobError(type="media", message="cannot be decoded")


@dataclass
class Expected:
    """What the model knows of one job."""

    id: str
    name: str
    listed: bool
    created: float
    state: str = "waiting"
    version: int = 1
    turn: int = 0
    attempts: int = 0
    owner: str | None = None
    lease: float = 0.0
    finished: float | None = None
    scenes: tuple[str, ...] = ()

    def change(self, **values: object) -> None:
        self.version += 1
        for name, value in values.items():
            setattr(self, name, value)


class TableMachine(RuleBasedStateMachine):
    jobs = Bundle("jobs")

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.directory = Path(mkdtemp())
        self.table = JobTable(self.directory, MOST, self.clock)
        self.model: list[Expected] = []
        self.turn = 0

    def teardown(self) -> None:
        self.table.close()
        shutil.rmtree(self.directory)

    def expected(self, job_id: str) -> Expected | None:
        return next((job for job in self.model if job.id == job_id), None)

    def in_state(self, *states: str) -> list[Expected]:
        return [job for job in self.model if job.state in states]

    @rule(target=jobs, name=st.sampled_from(["A.mp4", "tram.wav", "ÄRGER.mkv", "a%_b.mp4"]), listed=st.booleans())
    def add(self, name: str, listed: bool) -> str:
        if len(self.in_state("waiting", "queued", "running")) >= MOST:
            with pytest.raises(QueueFullError):
                self.table.add(request(name, listed=listed))
            return "x" * 22  # the id of no job
        job = self.table.add(request(name, listed=listed))
        self.model.append(Expected(job.id, name, listed, self.clock.now))
        return job.id

    @rule(job_id=jobs)
    def enqueue(self, job_id: str) -> None:
        expected = self.expected(job_id)
        if expected is None:
            with pytest.raises(KeyError):
                self.table.enqueue(job_id, 7)
        elif expected.state != "waiting":
            with pytest.raises(JobStateError):
                self.table.enqueue(job_id, 7)
        else:
            assert self.table.enqueue(job_id, 7).size == 7
            self.turn += 1
            expected.change(state="queued", turn=self.turn)

    @rule(owner=OWNERS)
    def claim(self, owner: str) -> None:
        job = self.table.claim(owner)
        now = self.clock.now
        own = [j for j in self.in_state("running") if j.owner == owner]
        if any(j.attempts == 3 for j in own):  # it runs alone
            assert job is None
            return
        free = self.in_state("queued")
        free += [j for j in self.in_state("running") if j.lease < now and j.owner != owner]
        for expected in sorted(free, key=lambda job: job.turn):
            if expected.attempts == 2 and own:
                break
            if expected.attempts < 3:
                expected.change(state="running", owner=owner, lease=now + 30, attempts=expected.attempts + 1)
                assert job is not None
                assert job.id == expected.id
                return
            expected.change(state="failed", owner=None, finished=now)
            failed = self.table.get(expected.id)
            assert failed is not None
            assert failed.error is not None
            assert "3 times" in failed.error.message
        assert job is None

    @rule(owner=OWNERS)
    def heartbeat(self, owner: str) -> None:
        self.table.heartbeat(owner)
        for job in self.in_state("running"):
            if job.owner == owner:
                job.lease = self.clock.now + 30

    @rule(job_id=jobs)
    def progress(self, job_id: str) -> None:
        self.table.progress(job_id, 2.0, 4.0)
        if (expected := self.expected(job_id)) and expected.state == "running":
            expected.change()

    @rule(job_id=jobs, owner=OWNERS, scenes=st.lists(st.sampled_from(SCENES), min_size=1, max_size=2, unique=True))
    def done(self, job_id: str, owner: str, scenes: list[str]) -> None:
        ended = self.table.done(job_id, owner, outline(*scenes))
        self.end(job_id, owner, ended, state="done", scenes=tuple(scenes))

    @rule(job_id=jobs, owner=OWNERS)
    def fail(self, job_id: str, owner: str) -> None:
        self.end(job_id, owner, self.table.fail(job_id, owner, ERROR), state="failed")

    def end(self, job_id: str, owner: str, ended: bool, **values: object) -> None:
        expected = self.expected(job_id)
        possible = expected is not None and expected.state == "running" and expected.owner == owner
        assert ended == possible
        if expected is not None and possible:
            expected.change(owner=None, finished=self.clock.now, **values)

    @rule(job_id=jobs, owner=OWNERS)
    def release(self, job_id: str, owner: str) -> None:
        self.table.release(job_id, owner)
        expected = self.expected(job_id)
        if expected is not None and expected.state == "running" and expected.owner == owner:
            expected.change(state="queued", owner=None, attempts=expected.attempts - 1)

    @rule(job_id=consumes(jobs))
    def remove(self, job_id: str) -> None:
        expected = self.expected(job_id)
        assert self.table.remove(job_id) == (expected is not None)
        if expected is not None:
            self.model.remove(expected)

    @rule(seconds=st.sampled_from([1.0, 29.0, 31.0, 2000.0, 86400.0]))
    def wait(self, seconds: float) -> None:
        self.clock.now += seconds

    @rule(keep=st.sampled_from([0.5, 1.5]))
    def expire(self, keep: float) -> None:
        now = self.clock.now
        old = [job for job in self.model if job.finished is not None and job.finished < now - keep * 86400]
        old += [job for job in self.in_state("waiting") if job.created < now - 3600]
        assert sorted(self.table.expire(keep)) == sorted(job.id for job in old)
        self.model = [job for job in self.model if job not in old]

    @rule()
    def restart(self) -> None:
        self.table.close()
        self.table = JobTable(self.directory, MOST, self.clock)
        oldest = self.clock.now - 3600
        self.model = [job for job in self.model if job.listed and not (job.state == "waiting" and job.created < oldest)]
        running = self.in_state("running")
        assert self.table.release_all() == len(running)
        for job in running:
            job.change(state="queued", owner=None)

    @rule(search=st.sampled_from(["", "TRAM", "ärger", "%", "_", "metro"]), limit=st.integers(1, 4))
    def list_pages(self, search: str, limit: int) -> None:
        found: list[Job] = []
        before = None
        while found == [] or before is not None:
            page, before = self.table.list(search=search, limit=limit, before=before)
            assert len(page) <= limit
            assert before is None or len(page) == limit
            found += page
            if not page:
                break
        texts = {job.id: "\n".join([job.name, *job.scenes]).lower() for job in self.model}
        expected = [job.id for job in reversed(self.model) if job.listed and search.lower() in texts[job.id]]
        assert [job.id for job in found] == expected

    @rule(scene=st.sampled_from([*SCENES, "metro"]), state=st.sampled_from([None, JobState.DONE, JobState.QUEUED]))
    def list_filtered(self, scene: str, state: JobState | None) -> None:
        jobs = [job for job in reversed(self.model) if job.listed and scene in job.scenes]
        expected = [job.id for job in jobs if state is None or job.state == state]
        assert [job.id for job in self.table.list(scene=scene, state=state)[0]] == expected

    @invariant()
    def rows_are_those_of_the_model(self) -> None:
        for expected in self.model:
            job = self.table.get(expected.id)
            assert job is not None
            assert (job.state, job.version, job.attempts, job.finished, job.created) == (
                *(expected.state, expected.version, expected.attempts, expected.finished, expected.created),
            )
            before = [j for j in self.in_state("queued") if j.turn < expected.turn]
            assert self.table.position(job.id) == (len(before) if expected.state == "queued" else None)
        counts = self.table.counts()
        assert counts == {state: len(self.in_state(state)) for state in JobState}


TestTable = TableMachine.TestCase
TestTable.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)


def test_the_oldest_of_many_jobs_is_found_by_its_cursor(tmp_path: Path) -> None:
    with JobTable(tmp_path, max_queue=1000) as table:
        jobs = [queued(table, f"{number}.wav").id for number in range(120)]
        found, cursor = table.list()
        assert len(found) == 50
        queued(table, "newer.wav")  # does not move the pages
        while cursor:
            page, cursor = table.list(before=cursor)
            found += page
        assert [job.id for job in found] == jobs[::-1]
