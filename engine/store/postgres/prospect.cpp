// SPDX-License-Identifier: Apache-2.0
#include "engine/store/postgres/prospect.hpp"

#include "engine/event/flags.hpp"
#include "engine/store/postgres/claim_statements.hpp"
#include "engine/store/postgres/turn.hpp"

#include <algorithm>
#include <utility>

namespace fermata::engine::postgres {

namespace {

/// What a row says; the order in the statement. "A" is the first of those, where there is any.
enum kind : std::int64_t {
  an_own_mark,
  an_own_timer,
  first_timer,  // that is due, whoever's
  a_timer,
  a_mark,
  a_request,
  next_timer,
  next_start,
  next_task,
  a_task,
  server_time
};

// $10 the queues (names.id), $11 by name, $12 queues of tasks, $13 steps. Of each stretch of a queue one
// walk finds the first row; whether that or one behind it is for this worker is asked from there on.
// Subqueries with LIMIT, not EXISTS, keep to the order of their index. The time comes last: what it took.
constexpr const char* prospect_sql =
    "WITH RECURSIVE marks AS ("
    "  SELECT f.* FROM unnest($10::int8[]) AS u(queue) CROSS JOIN LATERAL ("
    "    SELECT m.queue, m.priority, m.since, m.run FROM fermata.ready m "
    "    WHERE m.space = $1 AND m.owner = 0 AND m.queue = u.queue "
    "    ORDER BY m.priority, m.since, m.run LIMIT 1) f "
    "  UNION ALL SELECT f.* FROM marks p CROSS JOIN LATERAL ("
    "    SELECT m.queue, m.priority, m.since, m.run FROM fermata.ready m "
    "    WHERE m.space = $1 AND m.owner = 0 AND m.queue = p.queue AND m.priority > p.priority "
    "    ORDER BY m.priority, m.since, m.run LIMIT 1) f), "
    "requests AS ("
    "  SELECT f.* FROM unnest($11::text[]) AS u(queue) CROSS JOIN LATERAL ("
    "    SELECT s.queue, s.priority, s.not_before, s.run FROM fermata.start_requests s "
    "    WHERE s.space = $1 AND s.queue = u.queue "
    "    ORDER BY s.priority, s.not_before, s.run LIMIT 1) f "
    "  UNION ALL SELECT f.* FROM requests p CROSS JOIN LATERAL ("
    "    SELECT s.queue, s.priority, s.not_before, s.run FROM fermata.start_requests s "
    "    WHERE s.space = $1 AND s.queue = p.queue AND s.priority > p.priority "
    "    ORDER BY s.priority, s.not_before, s.run LIMIT 1) f), "
    FERMATA_NEAR("0") ", late AS MATERIALIZED (SELECT min(due) AS due FROM near) "
    "(SELECT 0::int8, NULL::text, 0::int8, 0::int8, m.since, m.run " FERMATA_OWN_MARKS
    "  LIMIT 1) "
    "UNION ALL (SELECT 1, NULL, 0, 0, t.due, t.run " FERMATA_OWN_TIMERS("") " LIMIT 1) "
    "UNION ALL SELECT 2, NULL, 0, 0, due, NULL FROM late WHERE due IS NOT NULL "
    "UNION ALL (SELECT 3, NULL, 0, 0, t.due, t.run " FERMATA_TIMERS("(SELECT due FROM late)", "$10")
    "  ORDER BY t.due LIMIT 1) "
    "UNION ALL SELECT 4, NULL, p.queue, p.priority, f.since, f.run FROM marks p "
    "  CROSS JOIN LATERAL (SELECT m.since, m.run " FERMATA_MARKS("p")
    "    ORDER BY m.since, m.run LIMIT 1) f "
    "UNION ALL SELECT 5, p.queue, 0, p.priority, f.not_before, f.run FROM requests p "
    "  CROSS JOIN LATERAL (SELECT s.not_before, s.run " FERMATA_REQUESTS("p")
    "    AND p.not_before = 0 AND s.not_before = 0 AND s.run >= p.run ORDER BY s.run LIMIT 1) f "
    "UNION ALL SELECT 5, p.queue, 0, p.priority, f.not_before, f.run FROM requests p "
    "  CROSS JOIN LATERAL (SELECT s.not_before, s.run " FERMATA_REQUESTS("p")
    "    AND s.not_before BETWEEN 1 AND $8 ORDER BY s.not_before, s.run LIMIT 1) f "
    "UNION ALL (SELECT 6, NULL, 0, 0, t.due, NULL FROM fermata.timers t "
    "  WHERE t.space = $1 AND t.due > $8 AND cardinality($2) > 0 ORDER BY t.due LIMIT 1) "
    "UNION ALL (SELECT 7, NULL, 0, 0, s.not_before, NULL FROM fermata.start_requests s "
    "  WHERE s.space = $1 AND s.not_before <> 0 AND s.not_before > $8 AND cardinality($2) > 0 "
    "  ORDER BY s.not_before LIMIT 1) "
    "UNION ALL SELECT 8, NULL, 0, 0, min(t.not_before), NULL FROM fermata.tasks t "
    "  WHERE t.space = $1 AND t.queue = ANY($12) AND t.owner = 0 AND t.step = ANY($13) AND "
    "  t.not_before > $8 HAVING min(t.not_before) IS NOT NULL "
    "UNION ALL (SELECT 9, NULL, 0, 0, t.not_before, t.run " FERMATA_TASK_TABLES
    "  WHERE t.space = $1 AND t.queue = ANY($12) AND t.owner = 0 AND t.step = ANY($13) AND "
    "  t.not_before <= $8 AND r.attention = 0 LIMIT 1) "
    "UNION ALL SELECT 10, NULL, (extract(epoch FROM clock_timestamp()) * 1000000)::int8, "
    "  (extract(epoch FROM clock_timestamp() - statement_timestamp()) * 1000000)::int8, 0, NULL";

constexpr std::int64_t late_timers_us = 200'000;  // clocks differ, and commits take their time

params asked_of(const server& at, std::int64_t worker, const claim_request& what) {
  column queue_ids(type::int8), queues(type::text), task_queues(type::text), steps(type::text);
  for (const std::string& name : what.queues) {
    queue_ids.add(at.names.id_of(name));
    queues.add(std::string_view(name));
  }
  for (const task_room& room : what.rooms)
    for (const std::string& name : room.queues) task_queues.add(std::string_view(name));
  for (const std::string& name : what.steps) steps.add(std::string_view(name));
  params given = claim_filter(at.names, at.spaces.id_of(what.space), worker, what);
  return std::move(given.add(queue_ids).add(queues).add(task_queues).add(steps));
}

/// Row by row.
struct answer {
  prospect found;
  low_water::places marks;
  low_water::places requests;
  time_us first_timer = 0;
  time_us first_new_timer = 0;
  time_us server_time = 0;
  std::int64_t cost_us = 0;

  void sooner(time_us at) {
    found.next_not_before = found.next_not_before == 0 ? at : std::min(found.next_not_before, at);
  }

  void read(const rows& row, const std::map<std::int64_t, std::string>& queues) {
    const low_water::place where{row.integer(4), row.id<run_id>(5)};
    switch (row.integer(0)) {
      case kind::an_own_mark:
        found.own_marks = true;
        break;
      case kind::an_own_timer:
        found.own_timers = true;
        break;
      case kind::first_timer:
        first_timer = where.at;
        break;
      case kind::a_timer:
        found.timers = true;
        first_new_timer = where.at;
        break;
      case kind::a_mark:
        found.marks = true;
        marks[{queues.at(row.integer(2)), row.integer(3), false}] = where;
        break;
      case kind::a_request:
        found.requests = true;
        requests[{std::string(row.text(1)), row.integer(3), where.at != 0}] = where;
        break;
      case kind::next_timer:
        found.next_timer = where.at;
        break;
      case kind::next_start:
      case kind::next_task:
        sooner(where.at);
        break;
      case kind::a_task:
        found.tasks = true;
        break;
      case kind::server_time:
        server_time = row.integer(2);
        cost_us = row.integer(3);
        break;
      default:
        break;
    }
  }
};

}  // namespace

params claim_filter(const interner& names, std::int64_t space, std::int64_t worker,
                    const claim_request& what) {
  column ids(type::int8), workflows(type::text), not_these(type::uuid);
  for (const std::string& name : what.workflows) {
    ids.add(names.id_of(name));
    workflows.add(std::string_view(name));
  }
  for (const run_id& run : what.not_these) not_these.add(run);
  params given(space, ids, std::string_view(what.build),
               what.own_build_only ? names.id_of(what.build) : 0, not_these,
               std::int64_t{format_level}, worker, what.now, workflows);
  return given;
}

prospect look_ahead(server& at, const batch& for_claim, claim_places& places) {
  const claim_request& what = *for_claim.claim;
  return at.read_beside([&](connection& db) {
    learn_names(at, for_claim);  // each time: a server that was promoted may know less
    std::map<std::int64_t, std::string> queues;
    for (const std::string& name : what.queues) queues[at.names.id_of(name)] = name;
    const std::int64_t asked = at.clock.boot_now();
    // When it is planned, which may be anew when tables have grown. Where nothing is due it makes no difference.
    const bool in_order = places.timers_due || !db.knows(prospect_sql);
    if (in_order) db.send(in_order_sql);
    db.send(prospect_sql, asked_of(at, for_claim.worker, what));
    if (!what.holds.empty()) db.send(stopped_sql, asked_of(what.holds, for_claim.worker));
    std::vector<rows> answers = db.finish();
    rows* next = answers.data() + (in_order ? 1 : 0);
    answer all;
    while (next->next()) all.read(*next, queues);
    if (!what.holds.empty()) all.found.stopped = stopped_of(*++next);
    at.clock.learn(all.server_time, asked, at.clock.boot_now());

    places.marks.begin_anew(std::move(all.marks));
    places.requests.begin_anew(std::move(all.requests));
    const auto begin_at = [&](time_us first) {
      return (first == 0 ? what.now : first) - late_timers_us;
    };
    places.timers_due = all.first_timer != 0;
    places.timers = begin_at(all.first_timer);
    // Those before it may be very many: of workflows or builds that nobody serves any more.
    places.new_timers = begin_at(all.first_new_timer);
    // In a test's time nothing takes any.
    places.sweeps.swept(at.clock.steady_now(), at.clock.is_virtual() ? 0 : all.cost_us);
    if (!all.found.anything()) places.again_us = 0;
    if (what.new_at_most <= 0) {
      prospect& found = all.found;
      found.more_ready = found.timers || found.marks || found.requests;
      found.timers = found.marks = found.requests = false;
    }
    return std::move(all.found);
  });
}

}  // namespace fermata::engine::postgres
