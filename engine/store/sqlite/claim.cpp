// SPDX-License-Identifier: Apache-2.0
#include "engine/event/encode.hpp"
#include "engine/event/flags.hpp"
#include "engine/planted.hpp"
#include "engine/store/projection.hpp"
#include "engine/store/sqlite/rows.hpp"
#include "engine/store/sqlite/turn.hpp"

#include <algorithm>
#include <limits>
#include <string>
#include <tuple>
#include <unordered_set>
#include <utility>

namespace fermata::engine::sqlite {

namespace {

constexpr std::int64_t no_limit = std::numeric_limits<std::int64_t>::max();

/// Due timers are looked through in order of due time, whoever owns their runs; so many of them
/// that belong to others, or were handed out, are passed over before a claim goes on.
constexpr std::size_t timers_looked_at_most = 4'096;
/// Start requests of workflows that this worker doesn't serve, likewise.
constexpr std::size_t requests_looked_at_most = 4'096;

/// What decides whether a run is taken: columns 0–9.
const std::string candidate_columns =
    "r.id, r.run, r.owner, r.workflow, r.queue, r.state, r.attention, r.blocked_builds, r.build, "
    "r.format_level";

/// A run that might be taken: what decides about it.
struct candidate {
  std::int64_t row = 0;
  run_id run;
  std::int64_t owner = 0;
};

/// One claim at work: candidates in order, then each is taken.
class claimer {
 public:
  claimer(turn& turn, const claim_request& what, batch_result& result)
      : turn_(turn),
        db_(turn.db),
        what_(what),
        result_(result),
        space_(db_.spaces.id_of(what.space)),
        build_(db_.names.find(what.build).value_or(-1)),
        skipped_(what.not_these.begin(), what.not_these.end()) {
    for (const std::string& name : what.workflows) workflows_.insert(db_.names.id_of(name));
    for (const std::string& name : what.queues) queues_.push_back(db_.names.id_of(name));
    std::ranges::sort(queues_);
    queues_.erase(std::ranges::unique(queues_).begin(), queues_.end());
  }

  void look() {
    from_own_marks();
    from_timers();
    from_marks();
    for (const candidate& one : chosen_) take(one);
    from_requests();
    tell_next();
  }

 private:
  /// There is no place for one more, of its own or another.
  bool full(bool mine) {
    const bool is_full = static_cast<int>(chosen_.size() + fresh_) >= what_.at_most ||
                         (!mine && new_ >= what_.new_at_most);
    if (is_full) result_.more_ready = true;
    return is_full;
  }

  /// Reads `candidate_columns`.
  bool may_take(use& row) const {
    if (row.integer(9) > format_level) return false;  // a newer version's: left alone
    if (ended(static_cast<run_state>(row.integer(5)))) return false;
    const auto attention = static_cast<engine::attention>(row.integer(6));
    const bool waits = attention != attention::none && attention != attention::blocked;
    if (waits && !planted("sqlite_quarantined_run_is_claimed")) return false;
    if (attention == attention::blocked && is_among(what_.build, row.text(7))) return false;
    if (skipped_.contains(row.id<run_id>(1))) return false;
    if (row.integer(2) == turn_.worker) return true;
    if (what_.own_build_only && row.integer(8) != build_) return false;
    return row.integer(2) == 0 && workflows_.contains(row.integer(3)) &&
           std::ranges::binary_search(queues_, row.integer(4));
  }

  static bool is_among(std::string_view build, std::string_view lines) {
    while (!lines.empty()) {
      const std::size_t end = lines.find('\n');
      if (lines.substr(0, end) == build) return true;
      if (end == std::string_view::npos) break;
      lines.remove_prefix(end + 1);
    }
    return false;
  }

  void choose(const candidate& one) {
    const bool mine = one.owner == turn_.worker;
    if (seen_.contains(one.row) || full(mine)) return;
    if (!mine) ++new_;
    seen_.insert(one.row);
    chosen_.push_back(one);
  }

  static candidate read_candidate(use& row) {
    return {row.integer(0), row.id<run_id>(1), row.integer(2)};
  }

  void from_own_marks() {
    static const std::string sql =
        "SELECT " + candidate_columns +
        " FROM ready m CROSS JOIN runs r ON r.id = m.run WHERE m.space = ?1 AND m.owner = ?2 "
        "ORDER BY m.priority, m.since, m.run";
    use rows = db_.sql(sql.c_str());
    rows.with(space_, turn_.worker);
    while (!result_.more_ready && rows.next()) {
      if (may_take(rows)) choose(read_candidate(rows));
    }
  }

  /// Own runs first, then those of nobody: one walk, since both lie among each other.
  void from_timers() {
    if (result_.more_ready) return;
    std::vector<candidate> unowned;
    std::unordered_set<std::int64_t> found;  // one run may have several
    static const std::string sql =
        "SELECT " + candidate_columns +
        ", r.epoch, t.operation, t.due FROM timers t CROSS JOIN runs r ON r.id = t.run "
        "WHERE t.space = ?1 AND t.due <= ?2 AND t.due >= ?3 ORDER BY t.due, t.run, t.operation";
    use rows = db_.sql(sql.c_str());
    const std::int64_t steady = turn_.time.steady_now_us();
    rows.with(space_, what_.now, turn_.due_from.begin(turn_.worker, steady));
    const auto wanted = static_cast<std::size_t>(what_.at_most);
    std::size_t looked = 0, others = 0;
    time_us first = what_.now;
    while (!result_.more_ready && rows.next()) {
      if (++looked > timers_looked_at_most && unowned.size() > wanted) break;
      if (!may_take(rows)) {
        if (skipped_.contains(rows.id<run_id>(1))) first = std::min(first, rows.integer(12));
        ++others;
        continue;
      }
      first = std::min(first, rows.integer(12));
      if (rows.integer(2) == 0) {
        if (unowned.size() <= wanted && found.insert(rows.integer(0)).second)
          unowned.push_back(read_candidate(rows));
        continue;
      }
      const bool handed =
          turn_.handed.has(rows.integer(0), std::string(rows.text(11)),
                           static_cast<epoch_t>(rows.integer(10)), rows.integer(12));
      if (!handed) choose(read_candidate(rows));
    }
    turn_.due_from.looked(first, others, steady);
    for (const candidate& one : unowned) {
      if (result_.more_ready) return;
      choose(one);
    }
  }

  /// Each queue has its own order; taken together they go by priority, then age.
  void from_marks() {
    if (result_.more_ready) return;
    std::vector<std::tuple<std::int64_t, std::int64_t, candidate>> found;
    for (const std::int64_t queue : queues_) {
      static const std::string sql =
          "SELECT " + candidate_columns +
          ", m.priority, m.since FROM ready m CROSS JOIN runs r ON r.id = m.run "
          "WHERE m.space = ?1 AND m.owner = 0 AND m.queue = ?2 ORDER BY m.priority, m.since, m.run";
      use rows = db_.sql(sql.c_str());
      rows.with(space_, queue);
      const std::size_t enough = found.size() + room() + 1;
      while (found.size() < enough && rows.next()) {
        if (may_take(rows) && !seen_.contains(rows.integer(0)))
          found.emplace_back(rows.integer(10), rows.integer(11), read_candidate(rows));
      }
    }
    std::ranges::sort(found, {}, [](const auto& one) {
      return std::tuple(std::get<0>(one), std::get<1>(one), std::get<2>(one).row);
    });
    for (const auto& [priority, since, one] : found) {
      if (result_.more_ready) return;
      choose(one);
    }
  }

  std::size_t room() const {
    const auto taken = static_cast<int>(chosen_.size() + fresh_);
    const int left = std::min(what_.at_most - taken, what_.new_at_most - new_);
    return static_cast<std::size_t>(std::max(0, left));
  }

  void take(const candidate& one) {
    const bool mine = one.owner == turn_.worker;
    unmark(turn_, one.row);
    if (!mine) {
      db_.sql(planted("sqlite_epoch_stays_at_a_claim")
                  ? "UPDATE runs SET owner = ?2, updated = ?3 WHERE id = ?1"
                  : "UPDATE runs SET owner = ?2, epoch = epoch + 1, updated = ?3 WHERE id = ?1")
          .with(one.row, turn_.worker, turn_.now)
          .run();
      if (run_head* head = turn_.heads.find(db_, one.row); head->owner != turn_.worker) {
        head->owner = turn_.worker;
        ++head->epoch;
      }
    }
    claimed taken{.mine_before = mine};
    {
      static const std::string sql = "SELECT " + run_columns + " FROM runs r WHERE r.id = ?1";
      use row = db_.sql(sql.c_str());
      row.with(one.row).next();
      taken.run = read_run(db_, row);
    }
    read_tags(db_, taken.run);
    hand_out(std::move(taken));
  }

  void from_requests() {
    if (result_.more_ready) return;
    std::vector<start_request> found;
    for (const std::int64_t queue : queues_) look_in_queue(queue, found);
    std::ranges::sort(found, {}, [](const start_request& request) {
      return std::tuple(-request.priority, request.not_before, request.run);
    });
    for (const start_request& request : found) {
      if (full(false)) return;
      ++fresh_;
      ++new_;
      begin_one(request);
    }
  }

  /// Priority after priority, so that starts of the future don't lie in the way.
  void look_in_queue(std::int64_t queue, std::vector<start_request>& found) {
    static const std::string sql =
        "SELECT " + request_columns +
        " FROM start_requests r WHERE r.space = ?1 AND r.queue = ?2 AND "
        "r.priority = ?3 AND r.not_before <= ?4 AND r.format_level <= ?5 "
        "ORDER BY r.not_before, r.run";
    const std::size_t enough = found.size() + room() + 1;
    std::size_t looked = 0;
    std::int64_t priority = next_priority(queue, std::numeric_limits<std::int64_t>::min());
    while (priority != no_limit && found.size() < enough) {
      use rows = db_.sql(sql.c_str());
      rows.with(space_, queue, priority, what_.now, format_level);
      while (found.size() < enough && looked < requests_looked_at_most && rows.next()) {
        const bool overdue = rows.integer(10) != 0 && rows.integer(10) < what_.now;
        const bool served = workflows_.contains(rows.integer(5));
        if (overdue || !served || skipped_.contains(rows.id<run_id>(0))) {
          ++looked;
          continue;
        }
        found.push_back(read_request(db_, rows));
      }
      priority = next_priority(queue, priority);
    }
  }

  std::int64_t next_priority(std::int64_t queue, std::int64_t after) {
    use row = db_.sql(
        "SELECT min(priority) FROM start_requests WHERE space = ?1 AND queue = ?2 AND "
        "priority > ?3");
    row.with(space_, queue, after).next();
    return row.null(0) ? no_limit : row.integer(0);
  }

  void begin_one(const start_request& request) {
    const event start = make_start_event(request, what_.now, 1, what_.build);
    const auto salt = turn_.chance.salt16();
    const encoded_event first = encode(request.run, {}, start, {salt.data(), salt.size()});
    remove_request(db_, request);
    claimed taken{.fresh = true};
    taken.run = row_of_start(request, start);
    taken.run.row = begin(turn_, request, first, what_.build);
    taken.run.owner = turn_.worker;
    taken.run.updated = turn_.now;
    hand_out(std::move(taken));
  }

  void hand_out(claimed&& taken) {
    const run_head* head = turn_.heads.find(db_, taken.run.row);
    taken.head = {head->position, head->hash};
    taken.inbox = read_inbox(db_, taken.run.chain);
    const auto bad =
        std::ranges::find_if(taken.inbox, [](const auto& m) { return !m.damage.empty(); });
    if (bad != taken.inbox.end()) return set_aside(taken.run, *bad);
    use rows = db_.sql(
        "SELECT operation, due, purpose FROM timers WHERE run = ?1 AND due <= ?2 "
        "ORDER BY due, operation");
    rows.with(taken.run.row, what_.now);
    while (rows.next()) {
      taken.due.push_back({taken.run.run, std::string(rows.text(0)), rows.integer(1),
                           static_cast<timer_purpose>(rows.integer(2))});
      turn_.handed.add(taken.run.row, taken.due.back().operation, taken.run.epoch,
                       taken.due.back().due);
    }
    if (planted("sqlite_timer_gone_when_handed_out"))
      apply_changes(turn_, taken.run.row, space_, {.all_timers_removed = true});
    if (!taken.fresh) read_tasks(taken);
    set_lease(turn_);
    result_.claimed.push_back(std::move(taken));
  }

  void read_tasks(claimed& of) {
    use rows = db_.sql("SELECT operation, epoch FROM tasks WHERE run = ?1 ORDER BY operation");
    rows.with(of.run.row);
    while (rows.next())
      of.tasks.push_back(
          {of.run.run, std::string(rows.text(0)), static_cast<std::uint64_t>(rows.integer(1))});
  }

  /// A message that can't be read keeps its own run from going on, and no other: it belongs to nobody
  /// until somebody acts on it.
  void set_aside(const run_row& run, const message& bad) {
    db_.sql(
           "UPDATE runs SET owner = 0, epoch = epoch + 1, updated = ?2, attention = ?3, report = "
           "?4, "
           "blocked_builds = blocked_builds || ?5 || char(10) WHERE id = ?1")
        .with(run.row, turn_.now, static_cast<int>(attention::blocked),
              unreadable_message(run.run, bad), what_.build)
        .run();
    if (run_head* head = turn_.heads.find(db_, run.row); head->owner != 0) {
      head->owner = 0;
      ++head->epoch;
    }
    turn_.latest = std::max(turn_.latest, turn_.now);
    turn_.woke = true;
  }

  void tell_next() {
    {
      use timer =
          db_.sql("SELECT due FROM timers WHERE space = ?1 AND due > ?2 ORDER BY due LIMIT 1");
      if (timer.with(space_, what_.now).next()) result_.next_timer = timer.integer(0);
    }
    use start = db_.sql(
        "SELECT not_before FROM start_requests WHERE space = ?1 AND not_before <> 0 AND "
        "not_before > ?2 ORDER BY not_before LIMIT 1");
    if (start.with(space_, what_.now).next()) result_.next_not_before = start.integer(0);
  }

  turn& turn_;
  connection& db_;
  const claim_request& what_;
  batch_result& result_;
  const std::int64_t space_;
  const std::int64_t build_;
  const std::unordered_set<run_id> skipped_;
  std::unordered_set<std::int64_t> workflows_;
  std::vector<std::int64_t> queues_;
  std::unordered_set<std::int64_t> seen_;
  std::vector<candidate> chosen_;
  std::size_t fresh_ = 0;
  int new_ = 0;  // chosen, and not its own before
};

}  // namespace

void claim(turn& turn, const claim_request& what, batch_result& result) {
  if (alive(turn) && !what.workflows.empty()) claimer(turn, what, result).look();
}

}  // namespace fermata::engine::sqlite
