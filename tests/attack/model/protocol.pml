/* SPDX-License-Identifier: Apache-2.0 */
/* Claim, lease, append, park, rescue: who may write to a run, and that it ends. docs/model.md maps each
 * name to the code, says what isn't modelled, and what each -D is. One run: its start request, two steps
 * that end together, a signal that it waits for, its end. Two processes, each of which may die and come
 * back under a new id; errors, some after the commit is done; leases that run out under living workers; an
 * operator who takes the run; a client who says its signal twice.
 *
 * A transaction of the store is one d_step. With TWO_PHASES (Postgres) a plain append is two: it reads and
 * decides, and commits later, with nothing but its worker's row and the unique position against others. */

#define IDS 3      /* workers there may ever be: two processes, one comes back once */
#ifndef FAULTS
#define FAULTS 2   /* answers that are errors */
#endif
#define POSITIONS 12

#define NOBODY 0
#define OPERATOR 4                 /* who wrote an event: a worker, an operator, a rescuer */
#define RESCUER(w) (OPERATOR + w)

/* What an append carries. */
#define NOTHING 0
#define STEPS 1    /* two events: the outcomes of two steps */
#define SIGNAL 2   /* the signal, which it consumes */
#define END 3
#define PARK 4     /* no event: to rest */

/* How it went. */
#define LANDED 1
#define STALE 2
#define NOT_OWNER 3
#define INBOX_NOT_EMPTY 4

/* A worker's row, and its lease. */
#define UNUSED 0
#define ALIVE 1
#define DEAD 2      /* marked */
#define RELEASED 3  /* dead, and its runs are ready */
#define GONE 4      /* left */
#define NONE 0
#define HELD 1
#define OVER 2

/* ---- the store ---- */

byte owner, epoch;        /* of the run's row; epoch 0: a start request */
bool ready = true;        /* its mark */
byte inbox;               /* unread messages */
bool known_message;       /* pending, or in the ledger */
byte last;                /* position of its last event */
byte by[POSITIONS];       /* who wrote an event: with the epoch, what its hash would tell */
byte in_epoch[POSITIONS];
byte row[IDS + 1], lease[IDS + 1];
bool process_gone[IDS + 1];  /* its lock is free */
bool under_way[IDS + 1];     /* a transaction holds its row FOR KEY SHARE */

/* ---- what only the checks look at ---- */

byte owned;               /* the last epoch in which somebody had the run */
byte steps, signals, ends;
byte unread;              /* messages that the end lists as unread */

byte next_id = 3;
byte errors = FAULTS;
#ifndef LOSSES
#define LOSSES (IDS - 1)  /* so that somebody lives */
#endif
byte losses = LOSSES;

#define ended (ends > 0)

/* Whatever transaction has just ended. run.py tells a property by the comment on its line. */
inline check() {
  assert(!(owner == NOBODY && !ready && inbox > 0 && !ended));   /* no parked run has an unread message */
  assert(steps <= 1 && signals <= 1 && ends <= 1);               /* nothing is recorded twice */
  assert(inbox + signals + unread <= 1)                          /* a message is in one place */
}

inline raise_epoch() {
  epoch++;
  assert(epoch < 16)                                             /* the model has room */
}

/* store: put_message. */
inline put_message() {
  if
#ifdef NO_LEDGER
  :: !ended -> inbox++; ready = true
#else
  :: !known_message && !ended -> inbox++; known_message = true; ready = true
#endif
  :: else
  fi;
  check()
}

/* store: events are written after the predecessor, in `ep`, by `who`. */
inline write(who, count, ep) {
  assert(ep >= epoch);                                           /* no event by an older epoch */
  assert(row[who] == ALIVE);                                     /* no event by who was marked dead */
  assert(last + count < POSITIONS);                              /* the model has room */
  do
  :: i < count -> i++; last++; by[last] = who; in_epoch[last] = ep
  :: else -> break
  od;
  i = 0
}

/* Whether the very events are there after `a_after`. */
#define there(who, count, ep) \
  (count > 0 && a_after + count <= last && by[a_after + count] == who && \
   in_epoch[a_after + count] == ep && by[a_after + 1] == who && in_epoch[a_after + 1] == ep)

#define follows (a_after == last && by[last] == a_by && in_epoch[last] == a_in)

#ifdef NO_DEAD_CHECK
#define may_live(w) true
#else
#define may_live(w) (row[w] == ALIVE)
#endif

#ifdef NO_EPOCH_CHECK
#define is_owner(w) (owner == w)
#else
#define is_owner(w) (owner == w && epoch == a_epoch)
#endif

#define count_of(what) (what == STEPS -> 2 : (what == PARK -> 0 : 1))

/* store: append, decided. */
inline decide() {
  again_landed = false;
  if
  :: there(me, count_of(a_what), a_epoch) -> how = LANDED; again_landed = true
  :: else ->
     if
     :: !may_live(me) -> how = NOT_OWNER
     :: else ->
        if
        :: ended || !follows -> how = STALE
        :: else ->
           if
           :: !is_owner(me) -> how = NOT_OWNER
           :: else ->
              if
              :: a_what == SIGNAL && inbox == 0 -> how = STALE   /* message_gone */
              :: a_what == END && inbox > a_unread -> how = INBOX_NOT_EMPTY
              :: else -> how = LANDED
              fi
           fi
        fi
     fi
  fi
}

/* store: append, written. */
inline apply() {
  parked = (a_what == PARK && !is_owner(me));
  if
  :: how == LANDED && !again_landed ->
     write(me, count_of(a_what), a_epoch);
     if
     :: a_what == STEPS -> steps++
     :: a_what == SIGNAL -> signals++; inbox--
     :: a_what == END -> ends++; unread = inbox; inbox = 0; owner = NOBODY; ready = false
     :: a_what == PARK ->
        if
#ifndef PARK_WITHOUT_LOOKING
        :: inbox > 0 -> ready = true; parked = false
#endif
        :: else -> ready = false; owner = NOBODY; parked = true
        fi
     fi
  :: else
  fi;
  check()
}

/* store: what give_up does, for release, release_dead and leave. */
inline give_up(w) {
  if
  :: owner == w -> owner = NOBODY; raise_epoch(); ready = true
  :: else
  fi;
  check()
}

/* store: an operator's append: the run is nobody's, and ready. It takes no worker's row. */
inline take(who, after, of_epoch) {
  if
#ifdef NO_PREDECESSOR
  :: !ended && of_epoch + 1 > epoch && after < last ->           /* ON CONFLICT DO NOTHING */
     assert(by[after + 1] == who)                                /* acknowledged, so there */
#endif
  :: !ended && of_epoch + 1 > epoch && after == last ->
     assert(last + 1 < POSITIONS);                               /* the model has room */
     epoch = of_epoch + 1; last++; by[last] = who; in_epoch[last] = epoch;
     owner = NOBODY; ready = true
  :: else
  fi;
  check()
}

/* ---- a worker: the loop's thread ---- */

/* What its frame knows of the run, from the journal. */
inline load() {
  has_it = true; e = epoch;
  head = last; head_by = by[last]; head_in = in_epoch[last];
  saw_steps = steps > 0; saw_signal = signals > 0; messages = inbox;
  rests = false; waits_for_answer = false
}

/* store: claim. Of its own run it brings the inbox; of nobody's it makes it its own. */
inline claim() {
  ready = false;
  lease[me] = HELD;
  if
  :: owner == me
  :: else ->
     if
     :: last == 0 -> last = 1; by[1] = me; in_epoch[1] = 1; epoch = 1  /* run_started */
     :: else ->
#ifndef CLAIM_WITHOUT_EPOCH
        raise_epoch()
#else
        skip
#endif
     fi;
     owner = me;
     assert(epoch > owned);                                      /* one owner an epoch; epochs rise */
     owned = epoch
  fi;
  check()
}

/* The claim's answer reaches the loop. */
inline adopt() {
#ifndef GIVE_BACK_CLAIMED
  to_give_back = false;
#endif
  if
  :: has_it && e == epoch && owner == me -> messages = inbox; rests = false
  :: owner == me -> load()
  :: else
  fi
}

/* The first claim is worker 1's: they are alike. */
#define may_claim                                                                       \
  ((!sent || !has_it) && ready && row[me] == ALIVE && (owner == NOBODY || owner == me) && \
   (last > 0 || me != 2 || row[1] != ALIVE))

#ifdef TWO_PHASES
#define in_two_phases (a_what == STEPS)
#else
#define in_two_phases false
#endif
#ifdef LEAVE_BESIDE_APPENDS
#define may_leave true
#else
#define may_leave !begun
#endif

/* An append is on its way, with its predecessor and its epoch. */
inline build(what_) {
  a_what = what_; a_after = head; a_by = head_by; a_in = head_in; a_epoch = e; a_unread = messages;
  waits_for_answer = true; sent = true
}

/* Here and below: what nobody reads any more is set back, for fewer states. */
inline drop_frame() {
  has_it = false; e = 0; head = 0; head_by = 0; head_in = 0; messages = 0;
  saw_steps = false; saw_signal = false; rests = false; waits_for_answer = false
}

inline drop_append() {
  sent = false; answered = false; a_what = 0; a_after = 0; a_by = 0; a_in = 0; a_epoch = 0;
  a_unread = 0; how = 0; parked = false; again_landed = false; i = 0
}

inline let_go() {
  drop_frame(); to_give_back = true
}

/* What became of an append whose run wasn't let go since. */
inline take_answer() {
  if
  :: !waits_for_answer
  :: waits_for_answer && how == LANDED ->
     waits_for_answer = false;
     assert(count_of(a_what) == 0 || there(me, count_of(a_what), a_epoch));  /* acknowledged, so there */
     if
     :: count_of(a_what) > 0 -> head = head + count_of(a_what); head_by = me; head_in = e
     :: else
     fi;
     if
     :: a_what == STEPS -> saw_steps = true
     :: a_what == SIGNAL -> saw_signal = true; messages--
     :: a_what == END -> drop_frame()
     :: a_what == PARK && parked -> drop_frame()
     :: else -> rests = true                 /* a message came: the next claim brings it */
     fi
  :: waits_for_answer && how == INBOX_NOT_EMPTY -> waits_for_answer = false; messages = inbox
  :: else -> let_go()
  fi;
  drop_append()
}

/* The process is gone, and comes back under a new id, if there is one left. */
inline come_back() {
  process_gone[me] = true;
  drop_frame(); drop_append();
  to_give_back = false; lost_claim = false; rescues = NOBODY; seen = 0; seen_epoch = 0;
  blamed = false;
  if
  :: next_id <= IDS -> me = next_id; next_id++; row[me] = ALIVE
  :: else -> over = true
  fi
}

#ifdef RESCUE_ONCE
#define marked_before(w) false
#else
#define marked_before(w) (row[w] == DEAD)
#endif
#ifdef RESCUE_WITHOUT_MARK
#define is_free(w) true
#define mark(w) row[w] = (process_gone[w] -> DEAD : row[w]); lease[w] = NONE
#else
#define is_free(w) (!under_way[w])
#define mark(w) row[w] = DEAD; lease[w] = NONE
#endif

/* store: rescue. It waits for the dead worker's transactions that are under way. */
#define rescue(w)                                                                           \
  d_step {                                                                                  \
    rescues == NOBODY && w != me && is_free(w) &&                                           \
        (row[w] == ALIVE && (process_gone[w] || lease[w] == OVER) || marked_before(w)) ->   \
    rescues = w; mark(w)                                                                    \
  }

proctype worker(byte me) {
  bool over, has_it, saw_steps, saw_signal, rests, to_give_back, lost_claim;
  bool sent, begun, answered, waits_for_answer, parked, again_landed;
  byte e, head, head_by, head_in, messages;
  byte a_what, a_after, a_by, a_in, a_epoch, a_unread, how, i;
  byte rescues, seen, seen_epoch;
  bool blamed;

  do
  :: (over || ended) && !begun -> break    /* what it had begun ends with it */

  /* ---- the loop's thread: claim ---- */
  :: d_step { may_claim -> claim(); adopt() }
  :: d_step { may_claim && errors > 0 -> errors--; claim(); lost_claim = true; rests = false }

  /* find_lost_runs, give_back */
  :: d_step {
       lost_claim && !sent -> lost_claim = false;
#ifndef FORGET_LOST_CLAIMS
       if
       :: owner == me && !has_it -> to_give_back = true
       :: else
       fi
#endif
     }
  :: d_step {
       to_give_back && !begun -> to_give_back = false;
       assert(!has_it || owner != me || epoch != e);             /* nobody gives back what he works on */
       give_up(me)
     }

  /* ---- append: sent, decided and written, answered; or an error, and sent again ---- */
  :: d_step {
       has_it && !waits_for_answer && !sent && !rests ->
       if
       :: !saw_steps -> build(STEPS)
       :: saw_signal -> build(END)
       :: else ->
          if
          :: messages > 0 -> build(SIGNAL)
          :: else -> build(PARK)
          fi
       fi
     }
  :: d_step { sent && !begun && !answered && !in_two_phases -> decide(); apply(); answered = true }
#ifdef TWO_PHASES
  :: d_step {
       sent && !begun && !answered && in_two_phases ->
       decide(); begun = true; under_way[me] = (row[me] == ALIVE)
     }
  :: d_step {
       begun ->
       if
#ifndef NO_UNIQUE_POSITION
       :: how == LANDED && !again_landed && a_after != last -> how = STALE  /* its position is taken */
#endif
       :: else
       fi;
       apply(); begun = false; under_way[me] = false; answered = true
     }
#endif
  :: d_step { answered -> take_answer() }
  :: d_step {
       answered && errors > 0 -> errors--; answered = false;   /* done, but it sees an error */
#ifdef RESEND_ANEW
       drop_append(); waits_for_answer = false;
       head = last; head_by = by[last]; head_in = in_epoch[last]
#endif
     }
#ifdef ACK_BEFORE_COMMIT
  :: d_step {
       sent && !answered && !begun && errors > 0 ->
       errors--; how = LANDED; parked = true; take_answer()
     }
#endif
#ifndef TWO_PHASES
  /* Wider than the code: it lets go of a run while its append is out. */
  :: d_step { has_it && errors > 0 -> errors--; let_go() }
#endif

  /* ---- the guard's thread ---- */
  :: d_step { row[me] != ALIVE && !begun -> come_back() }   /* renew: it was marked dead */
  :: rescue(1)
  :: rescue(2)
  :: rescue(3)
  /* journal_blame: what the row says, then an operator's append */
  :: d_step {
       rescues != NOBODY && seen == 0 && !blamed && owner == rescues ->
       seen = last; seen_epoch = epoch
     }
  :: d_step {
       rescues != NOBODY && seen != 0 ->
       take(RESCUER(me), seen, seen_epoch);
       seen = 0; seen_epoch = 0; blamed = true
     }
  :: d_step {
       rescues != NOBODY && seen == 0 ->                       /* release_dead */
       if
       :: row[rescues] == DEAD -> row[rescues] = RELEASED; give_up(rescues)
#ifdef RESCUE_WITHOUT_MARK
       :: row[rescues] == ALIVE -> give_up(rescues)
#endif
       :: else
       fi;
       rescues = NOBODY; blamed = false
     }

  /* ---- what happens to its process: killed, or told to leave ---- */
  :: d_step { losses > 0 && row[me] == ALIVE && !begun -> losses--; come_back() }
  :: d_step {
       losses > 0 && row[me] == ALIVE && may_leave ->
       losses--; give_up(me); row[me] = GONE; lease[me] = NONE;
#ifdef LEAVE_BESIDE_APPENDS
       if
       :: begun
       :: else -> come_back()
       fi
#else
       come_back()
#endif
     }
  od
}

/* Leases run out under workers that live; some are renewed before anybody has seen it. */
proctype clock() {
end:
  do
  :: d_step { losses > 0 && lease[1] == HELD && row[1] == ALIVE -> losses--; lease[1] = OVER }
  :: d_step { losses > 0 && lease[2] == HELD && row[2] == ALIVE -> losses--; lease[2] = OVER }
  :: d_step { lease[1] == OVER && row[1] == ALIVE && !process_gone[1] -> lease[1] = HELD }
  :: d_step { lease[2] == OVER && row[2] == ALIVE && !process_gone[2] -> lease[2] = HELD }
  od
}

/* A signal, said twice under one id. */
proctype client() {
  d_step { put_message() }
#ifndef SAID_ONCE
  ;
  d_step { put_message() }
#endif
}

/* Takes the run from whoever has it, and makes it ready. */
proctype operator() {
  byte seen, seen_epoch;
  if
  :: d_step { last > 0 && !ended -> seen = last; seen_epoch = epoch };
     d_step { true -> take(OPERATOR, seen, seen_epoch) }
  :: ended
  fi
}

init {
  atomic {
    row[1] = ALIVE; row[2] = ALIVE;
    run worker(1); run worker(2); run clock(); run client();
#ifndef NO_OPERATOR
    run operator()
#endif
  }
}

#ifdef LIVENESS
ltl every_run_ends { <> ended }
#endif
