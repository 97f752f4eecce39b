// SPDX-License-Identifier: Apache-2.0
// The table of commands. A new one is a row here and a file of its own.
#include "worker/cli/command.hpp"

#include <algorithm>

namespace fermata::cli {

namespace {

// clang-format off
constexpr command all[] = {
    {"start", "Runs", "Start a run of a workflow", "fermata start WORKFLOW [INPUT-JSON | @FILE | -]",
     {R"(fermata start place_order '{"id":"42","sku":"abc","cents":990}' --key order-42)",
      "fermata start place_order @order.json --wait 30s",
      "fermata start send_report --delay 2h --tag customer=acme"},
     opening::creating, "started", declare_start},
    {"list", "Runs", "List runs, the newest first", "fermata list [--state failed] [--since 1h]",
     {"fermata list --state failed --since 1h", "fermata list --workflow place_order --tag customer=acme",
      "fermata list --attention blocked -o ids | fermata retry - --yes"},
     opening::existing, "run_list", declare_list},
    {"show", "Runs", "Show what happened to a run, event by event", "fermata show RUN",
     {"fermata show order-42", "fermata show place_order/order-42 --follow",
      "fermata show run_01J8Z3KQ -o json --reveal"},
     opening::existing, "history", declare_show},
    {"explain", "Runs", "Say why a run isn't further, and what to do", "fermata explain RUN",
     {"fermata explain order-42", "fermata explain run_01J8Z3KQ",
      "fermata list --state running -o ids | fermata explain -"},
     opening::existing, "explanation", declare_explain},
    {"trace", "Runs", "Show a run and its children as a tree", "fermata trace RUN [--follow]",
     {"fermata trace order-42", "fermata trace order-42 --follow", "fermata trace order-42 --depth 2 --fold"},
     opening::existing, "trace", declare_trace},
    {"logs", "Runs", "Show what a run's code logged", "fermata logs RUN [--follow]",
     {"fermata logs order-42", "fermata logs order-42 --follow", "fermata logs order-42 --level warning"},
     opening::existing, "log_lines", declare_logs},
    {"result", "Runs", "Wait for a run's end and print its result", "fermata result RUN [--timeout 30s]",
     {"fermata result order-42", "fermata result order-42 --timeout 30s",
      "fermata result order-42 | jq .tracking"},
     opening::existing, "result", declare_result},
    {"signal", "Acts", "Send a signal to a run", "fermata signal RUN NAME [JSON | @FILE | -]",
     {R"(fermata signal order-42 reviewed '{"approved":true}')", "fermata signal order-42 wake_up",
      "fermata signal order-42 reviewed @review.json"},
     opening::existing, "accepted", declare_signal},
    {"cancel", "Acts", "Ask runs to stop; their compensations run", "fermata cancel RUN... [--why TEXT]",
     {"fermata cancel order-42 --why 'customer called'",
      "fermata list --workflow place_order --state running -o ids | fermata cancel -",
      "fermata cancel order-42 order-43 --yes"},
     opening::existing, "accepted", declare_cancel},
    {"terminate", "Acts", "End runs at once; no code and no compensation runs",
     "fermata terminate RUN... [--why TEXT]",
     {"fermata terminate order-42 --why 'test data'",
      "fermata list --attention blocked -o ids | fermata terminate - --yes",
      "fermata terminate order-42 order-43 --yes"},
     opening::existing, "acted", declare_terminate},
    {"retry", "Acts", "Go on at the failed step, keeping what is finished",
     "fermata retry RUN... [--from-start]",
     {"fermata retry order-42", "fermata retry order-42 --from-start",
      "fermata list --state failed --since 1h -o ids | fermata retry - --yes"},
     opening::existing, "acted", declare_retry},
    {"status", "Journal", "Show the journal's state on one screen", "fermata status",
     {"fermata status", "fermata status -o json", "fermata status --namespace acme"},
     opening::existing, "status", declare_status},
    {"sql", "Journal", "Answer a read-only SQL statement", R"(fermata sql "SELECT ...")",
     {R"(fermata sql "select workflow, state, count(*) from fermata_runs group by 1, 2")",
      R"(fermata sql "select * from fermata_events where run = 'run_...'" -o jsonl)",
      "fermata sql @report.sql"},
     opening::looking, "rows", declare_sql},
    {"verify", "Journal", "Check every event, hash and promise of the journal", "fermata verify [RUN]",
     {"fermata verify", "fermata verify order-42", "fermata verify -o jsonl"},
     opening::looking, "verification", declare_verify},
    {"doctor", "Journal", "Look for trouble around the journal: disk, locks, versions, workers",
     "fermata doctor", {"fermata doctor", "fermata doctor -o json", "fermata doctor --journal sqlite:orders.db"},
     opening::looking, "diagnosis", declare_doctor},
    {"backup", "Journal", "Copy the journal into a file while it is in use", "fermata backup FILE",
     {"fermata backup orders-backup.db", "fermata backup /backup/orders-$(date +%F).db",
      "fermata backup orders-backup.db && fermata verify --journal sqlite:orders-backup.db"},
     opening::existing, "backup", declare_backup},
    {"migrate", "Journal", "Bring the journal's layout up to date", "fermata migrate [--print]",
     {"fermata migrate --print", "fermata migrate", "fermata migrate --journal sqlite:orders.db"},
     opening::migrating, "migration", declare_migrate},
    {"completion", "Help", "Print a completion script for a shell", "fermata completion bash|zsh|fish",
     {"source <(fermata completion bash)", "fermata completion zsh > ~/.zfunc/_fermata",
      "fermata completion fish > ~/.config/fish/completions/fermata.fish"},
     opening::none, "", declare_completion},
    {"help", "Help", "Explain a command, or an error code", "fermata help [COMMAND | FER-CODE]",
     {"fermata help show", "fermata help FER-1203", "fermata help --json"},
     opening::none, "commands", declare_help},
};
// clang-format on

}  // namespace

std::span<const command> commands() { return all; }

const command* command_named(std::string_view name) {
  const auto* found = std::ranges::find(all, name, &command::name);
  return found == std::end(all) ? nullptr : found;
}

}  // namespace fermata::cli
