# SPDX-License-Identifier: Apache-2.0
"""The bugs: what each breaks, and the tests that find it; the first one, the fastest, is run each time."""
from named_tests import Bug, Case, Scenario


def bug(name, breaks, *tests, hangs=False):
    return Bug(name, breaks, tests, hangs)


def replay(name):
    return Case("unit_replay", name)


def sqlite(name):
    return Case("conformance_sqlite", name)


def memory(name):
    return Case("conformance_memory", name)


def postgres(name):
    return Case("conformance_postgres", name, server=True)


def lines(name):
    return Case("unit_postgres_settled", name, server=True)


REPLAY = [
    bug("attempt_before_its_note_is_durable",
        "an attempt begins before the event that it waits for is committed",
        replay("nothing that a gate holds back starts before its event has landed")),
    bug("outcome_delivered_before_it_is_durable",
        "code goes on with a step's outcome that isn't committed yet",
        replay("outcomes of one commit are delivered one at a time"),
        Case("semantics_fuzz", "workflows made by chance end in every world, and replay")),
    bug("second_outcome", "an operation gets a second outcome",
        replay("an outcome that comes twice is recorded once")),
    bug("attempts_not_counted", "an attempt gets the number of the one before",
        replay("a step is attempted again after its delay until it succeeds")),
    bug("key_of_each_attempt", "attempts of one call have different idempotency keys",
        replay("every attempt has the same key, made of origin, operation and name"),
        Case("semantics_saga",
             "with .undo a charge whose outcome is unknown is undone by its key, exactly once")),
    bug("retry_past_policy", "a step is attempted once more than its policy allows",
        replay("after the last attempt the step has failed"),
        Case("semantics_steps", "a step is tried max_attempts times, later and later")),
    bug("timer_fires_early", "a timer fires before it is due",
        replay("a timer that is told of too early doesn't fire")),
    bug("cancelled_run_goes_on", "the code of a cancelled run issues steps as before",
        replay("code that catches the cancel may tidy up, but what it issues is refused"),
        Case("semantics_saga",
             "a step that completes while its run is cancelled is delivered, then undone")),
    bug("oldest_compensation_first", "compensations run in the order of their registration",
        replay("a failed shipment releases the stock, then refunds the card"),
        Case("semantics_saga", "a failed shipment refunds the card, then releases the stock")),
    bug("compensation_twice", "each compensation is done twice",
        replay("a failed shipment releases the stock, then refunds the card"),
        Case("replay_histories",
             "every recorded history replays against today's code, and verifies")),
    bug("childs_end_twice", "the end of a child that is told twice is recorded twice",
        replay("a child's end settles it, and one of an unknown child is dropped")),
    bug("losers_of_a_race_go_on", "`race` leaves its losers running, as `any` does",
        Case("semantics_waits", "race cancels the losers: a child, a sleep, a receive"),
        Case("replay_histories",
             "every recorded history replays against today's code, and verifies")),
    bug("never_quarantined", "a step that takes its worker down is tried for ever",
        replay("three crashes of one operation put its run into quarantine, and a retry lets it out")),
    bug("suspects_are_guilty", "a death that nothing explains counts as a crash of the step",
        replay("a suspicion changes nothing, the second in a row lets the operation run alone")),
    bug("patched_is_always_true", "`patched` sends runs of the old code the new way",
        replay("patched is false where the old code went past, for the whole run"),
        Case("semantics_client",
             "patched keeps running workflows on the old way, new ones take the new")),
    bug("random_from_the_clock", "`random` gives other numbers at a replay",
        replay("now is the time of the last outcome, and chance the same at every replay"),
        Case("semantics_steps",
             "now, random and uuid are the same in every world and in every replay")),
    bug("changed_name_unnoticed", "code that calls another step gets the recorded one's outcome",
        replay("another name blocks, and the report has both places"),
        Case("semantics_client", "changed code is blocked with a report that names both places")),
    bug("changed_input_unnoticed", "a command with another input than recorded isn't noticed",
        replay("a published value that changed blocks")),
    bug("dropped_command_unnoticed", "a recorded command that the code no longer asks for isn't noticed",
        replay("a command that the code no longer asks for blocks")),
]

EVENTS = [
    bug("checksum_not_compared", "a flipped bit in a stored event is believed",
        Case("unit_event_encode", "each flipped bit of a number, in any event, is found and named")),
    bug("chain_without_predecessor", "the chain hash doesn't cover the event before",
        Case("golden", "this version writes the very bytes that level 1 fixed")),
    bug("fired_timer_stays", "a timer that has fired is handed out again",
        Case("unit_store", "a timer that is set and fires in one append leaves only its removal")),
    bug("digest_not_compared", "a payload that was exchanged together with its checksum is believed",
        Case("unit_event_encode",
             "a payload exchanged together with its checksum is found by its digest")),
]

SQLITE = [
    bug("sqlite_epoch_not_compared", "an owner of an earlier epoch writes",
        sqlite("an append with another epoch isn't the owner's")),
    bug("sqlite_predecessor_not_compared", "an append lands behind another event than it names",
        sqlite("a predecessor of another hash is stale")),
    bug("sqlite_resent_append_is_refused", "an append whose answer was lost is taken for another's",
        sqlite("the very same bytes again have landed, and are there once")),
    bug("sqlite_ended_run_goes_on", "events follow the end of a run",
        sqlite("an ended run never changes")),
    bug("sqlite_child_not_requested", "a child that its parent's journal has is never started",
        sqlite("a child is requested in the transaction of its parent's event")),
    bug("sqlite_quarantined_run_is_claimed", "a run that waits for a person is worked on",
        sqlite("paused, quarantined and needing runs aren't claimed until that is cleared")),
    bug("sqlite_answers_before_the_commit", "commits are answered before they are made",
        sqlite("what landed is there for another handle on the journal")),
    bug("sqlite_dead_worker_writes", "a worker that was marked dead writes",
        sqlite("a worker whose lease ended is dead, and what it writes late is refused")),
    bug("sqlite_acks_before_the_sync", "commits are answered before they are synced",
        Case("unit_sqlite_journal",
             "the connection that writes syncs each commit, and not only says so")),
    bug("sqlite_failed_commit_is_a_success", "a commit that failed is answered as done",
        Case("unit_sqlite_journal",
             "a commit that fails is told as an error, and nothing of it is there")),
    bug("sqlite_message_kept_after_it_was_read", "a message stays in the inbox after it was moved",
        sqlite("who has moved everything isn't called again")),
    bug("sqlite_ledger_not_written", "a signal that is sent again after it was read arrives twice",
        sqlite("a message sent again is repeated, pending and moved alike")),
    bug("sqlite_parks_with_unread_messages", "a run parks with a message unread, and nobody looks",
        sqlite("a message that arrives before the park keeps the run owned, and is handed out")),
    bug("sqlite_message_wakes_nobody", "a message to a parked run doesn't make it ready",
        sqlite("a message makes a parked run ready for anybody")),
    bug("sqlite_key_of_any_workflow", "a key that another workflow has is taken",
        sqlite("a key is bound per workflow and per namespace")),
    bug("sqlite_start_lost_at_admission", "a start is lost when its worker died before it was written",
        sqlite("a dead worker's admission becomes a start request")),
    bug("sqlite_timer_gone_when_handed_out", "a due timer is gone with the worker that was told of it",
        sqlite("a due timer that was told to an owner who died is told to the next")),
    bug("sqlite_epoch_stays_at_a_claim", "a run's new owner has the epoch of the one before",
        sqlite("each new owner of a run has a higher epoch, also when the one before had let it rest")),
    bug("sqlite_guards_off", "a user's transaction in the journal may change events",
        Case("unit_sqlite_journal",
             "an appender whose own transactional step changes events is refused like any other")),
    bug("sqlite_trigger_missing", "any program may change events",
        Case("unit_sqlite_journal", "no statement of another program changes or removes an event")),
    bug("sqlite_rescues_the_living", "a worker within its lease is taken for dead",
        sqlite("a worker whose lease ended is dead, and what it writes late is refused")),
    bug("sqlite_lease_by_the_wall_clock", "a clock that is set forwards ends all leases",
        Case("unit_sqlite_journal", "a wall clock that is set, forwards or back, ends no lease, and "
             "stored time never goes back")),
    bug("sqlite_late_outcome_accepted", "the outcome of a task that isn't the worker's any more counts",
        sqlite("a late outcome is refused: another attempt, another worker, a task that is gone")),
]

POSTGRES = [
    bug("postgres_dead_worker_writes", "a worker that was marked dead writes",
        postgres("a worker whose lease ended is dead, and what it writes late is refused")),
    bug("postgres_predecessor_not_compared", "an append lands behind another event than it names",
        postgres("a predecessor of another hash is stale")),
    bug("postgres_message_kept_after_it_was_read", "a message stays in the inbox after it was moved",
        postgres("numbers go on from the largest that is pending"),
        postgres("a message sent again is repeated, pending and moved alike"),
        postgres("what arrives between the look and the append that looked isn't forgotten")),
    bug("postgres_ambiguous_commit_is_a_success", "a commit whose answer was lost is taken for done",
        lines("a message arrives once, whatever its commit loses")),
    bug("postgres_ambiguous_commit_is_a_failure",
        "a commit whose answer was lost is taken for undone, and done again",
        lines("a run is claimed once, whatever the claim's commit loses")),
    bug("postgres_claims_without_a_lock", "two workers claim one run at once",
        lines("a claim takes no run that another transaction holds: it may be claimed there")),
    bug("postgres_lease_by_own_clock", "a host whose clock is wrong takes everybody for dead",
        lines("a host whose clock is an hour ahead takes nobody for dead")),
    bug("postgres_takes_leases_back_beside_claims",
        "a worker that has just claimed something has no lease, and is never taken for dead",
        lines("who takes a lease back waits for the claim that may rely on it, and leaves it then")),
]

MEMORY = [
    bug("memory_epoch_not_compared", "an owner of an earlier epoch writes",
        memory("an append with another epoch isn't the owner's")),
    bug("memory_ledger_not_written", "a signal that is sent again after it was read arrives twice",
        memory("a message sent again is repeated, pending and moved alike")),
    bug("memory_parks_with_unread_messages", "a run parks with a message unread, and nobody looks",
        memory("a message that arrives before the park keeps the run owned, and is handed out")),
    bug("memory_due_timer_told_twice", "an owner is told of a due timer again and again",
        memory("an owner is told of a due timer once, and again when it is set again")),
    bug("memory_rescues_the_living", "a worker within its lease is taken for dead",
        memory("a worker whose lease ended is dead, and what it writes late is refused")),
]

WORKER = [
    bug("claims_side_by_side", "two claims of one process are written at once",
        Case("unit_dispatch", "beside a claim nothing is written but plain appends")),
    bug("lease_never_renewed", "a worker that is at work is taken for dead after a lease",
        Case("unit_worker_leaving", "a worker that is at work renews its lease")),
    bug("claim_prolongs_the_lease", "a worker believes in a lease that its store doesn't have",
        Case("unit_worker_parts", "a claim doesn't make a lease longer that is there already")),
    bug("step_begins_without_a_lease", "a worker that was frozen begins steps after its lease",
        Case("unit_worker_frames",
             "attempts that came too late for their lease begin when there is one again")),
    bug("late_task_begins", "an attempt begins that its owner may have given up",
        Case("unit_worker_frames", "a task whose thread comes too late isn't begun, but given back, "
             "and begun anew")),
    bug("refused_append_counts_as_landed", "an owner that was overtaken goes on with its run",
        Case("unit_worker_frames", "an owner that was overtaken lets its run go, and goes no further")),
    bug("refused_park_is_tried_for_ever", "a worker that stops tries again and again to let a run rest",
        Case("unit_worker_frames", "a worker that stops gives back a run that is told something just "
             "when it comes to rest")),
    bug("failed_batch_is_dropped", "what couldn't be written isn't written again",
        Case("unit_worker_frames", "what couldn't be written is written when it can")),
    bug("lost_claim_is_forgotten", "runs that a claim took unheard are nobody's business",
        Case("unit_worker_frames", "a run that a claim took unheard goes on all the same")),
    bug("drain_drops_outcomes", "outcomes of steps that end while their worker drains are lost",
        Case("unit_worker_leaving", "a worker that stops begins no further step")),
    bug("bystanders_are_blamed", "a crash is told to all steps that went on beside it",
        Scenario("crash/crash.py", ("fermata", "e2e_crash_worker", "example_crash_me"),
                 "an_awaitable_step_is_quarantined_and_those_that_wait_beside_it_arent_blamed")),
]

CLIENT = [
    bug("start_answered_unwritten", "a start that couldn't be written is answered with success",
        Case("unit_worker_frames", "a start that couldn't be written is told as an error")),
    bug("attach_to_any_workflow", "a key is looked for among all workflows",
        Case("semantics_client",
             "a key names one run per workflow: equal input attaches, another one is a conflict")),
    bug("result_of_an_earlier_run", "`result` is that of a run which was retried since",
        Case("semantics_retry", "a retried run goes on before the step that failed, under the same keys")),
]

OPERATE = [
    bug("retry_repeats_finished_steps", "a retried run does again what had been done",
        Case("unit_operate",
             "a retried run begins with what went well, and does the failed step again")),
    bug("retry_under_new_keys", "a retried run charges under other idempotency keys",
        Case("unit_operate", "starting over without compensation keeps the keys and copies nothing"),
        Case("semantics_retry", "a retried run goes on before the step that failed, under the same keys")),
    bug("retry_forgets_children_in_flight",
        "a retried run waits for ever for a child that ended beside the retry",
        Case("unit_operate", "a child that ends while its parent is retried is in the copy")),
    bug("verify_overlooks_a_gap", "`fermata verify` doesn't see that an event is missing",
        Case("unit_operate", "a missing event is found at its position, and nothing else")),
    bug("verify_overlooks_a_second_end", "`fermata verify` doesn't see what follows the end",
        Case("unit_operate", "an event behind the end is found")),
    bug("verify_overlooks_orphans", "`fermata verify` doesn't see a run that nothing will wake",
        Case("unit_operate",
             "a run that nobody owns and nothing wakes is an orphan; one that waits isn't")),
    bug("death_told_twice", "a death is told to a run by each rescuer, and counts twice",
        Case("unit_operate", "a death is journaled once, however many rescuers tell it, and whoever has "
             "the run now")),
]

BUGS = REPLAY + EVENTS + SQLITE + POSTGRES + MEMORY + WORKER + CLIENT + OPERATE
