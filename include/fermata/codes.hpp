// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <span>
#include <string_view>

namespace fermata {

/// A stable error code: what it means and what to do. docs/errors.md and `fermata` print these.
struct code_info {
  std::string_view code;
  std::string_view meaning;
  std::string_view remedy;
  constexpr operator std::string_view() const noexcept { return code; }  // NOLINT: it is its code
};

/// Every code by name. A number is never used again for something else.
namespace codes {

// ---- 11xx: outcomes that code sees ----
inline constexpr code_info failed{
    "FER-1100", "A step, child or run ended with a failure.",
    "Read its type and message; `fermata show RUN` has the attempts, `fermata retry RUN` goes on."};
inline constexpr code_info cancelled{
    "FER-1101", "The run, or this branch of it, was cancelled.",
    "Let it end; what must finish anyway belongs into `shield` or `on_failure`."};
inline constexpr code_info timed_out{
    "FER-1102", "Something took longer than it was given.",
    "Raise the step's timeout, or find out why it is slow with `fermata show RUN`."};
inline constexpr code_info wait_over{
    "FER-1103", "The caller stopped waiting for a result; the run itself goes on.",
    "Wait again with a longer limit; `fermata explain RUN` says what it waits for."};
inline constexpr code_info terminated{
    "FER-1104", "The run was terminated; no code and no compensation ran.",
    "Check what it left behind; `fermata retry RUN` starts over from its history."};
inline constexpr code_info expired{
    "FER-1105", "The run hadn't begun when its not_after passed.",
    "Add workers for its queue, or start it again with a later not_after."};
inline constexpr code_info crashed{
    "FER-1106", "The worker went away during an attempt that must not be repeated.",
    "Find out what the attempt did (on_crash isn't retry), then `fermata retry RUN`."};

// ---- 12xx: determinism ----
inline constexpr code_info undecodable{
    "FER-1201", "A recorded value doesn't fit the type the code reads it as.",
    "Give the type back what it lost, or deploy the old code; then `fermata retry RUN`."};
inline constexpr code_info quarantined{
    "FER-1202", "An operation took its process down too often.",
    "Fix the step, then `fermata retry RUN`, which clears its crash count."};
inline constexpr code_info blocked{
    "FER-1203", "The code asks for something else than the journal has.",
    "Change running workflows with ctx.patched(), or give the run to a worker of its own build."};
inline constexpr code_info needs_attention{
    "FER-1204", "A compensation failed for good; the rest waits for a person.",
    "Repair what it complained about, then `fermata retry RUN` goes on with it."};

// ---- 13xx: requests of clients ----
inline constexpr code_info key_conflict{
    "FER-1301", "The key is bound to a run with another input, or on_duplicate says fail.",
    "Use another key, the same input, or on_duplicate = attach (`--on-duplicate attach`)."};
inline constexpr code_info unknown_run{
    "FER-1302", "No run has this id or key.",
    "Check the namespace and the spelling; `fermata list` shows what there is."};
inline constexpr code_info run_ended{
    "FER-1303", "The run has ended and takes no more requests.",
    "Start a new run, or continue this one with `fermata retry RUN`."};
inline constexpr code_info unknown_workflow{
    "FER-1304", "No worker ever served a workflow of this name.",
    "Check the spelling, start its worker once, or say --unchecked."};
inline constexpr code_info bad_input{
    "FER-1305", "The input doesn't fit the workflow's or signal's type.",
    "Send what the shape in the message asks for, or say --unchecked."};
inline constexpr code_info ambiguous_id{"FER-1306", "Several runs fit this prefix or key.",
                                        "Give more of the id, or write WORKFLOW/KEY."};
inline constexpr code_info bad_key{
    "FER-1307",
    "A key is 1 to 255 bytes of UTF-8 without control characters and doesn't start with run_; a "
    "tag is such text, too.",
    "Choose another key or tag."};
inline constexpr code_info not_allowed_now{
    "FER-1308", "The run's state doesn't allow this request.",
    "Read the message: it names the state and what is possible in it."};
inline constexpr code_info bad_text{"FER-1309", "A name or text has bytes that aren't UTF-8.",
                                    "Write it in UTF-8; other bytes belong into a value."};

// ---- 14xx: limits ----
inline constexpr code_info payload_too_large{"FER-1401", "A value is larger than 8 MiB.",
                                             "Store it elsewhere and pass its address."};
inline constexpr code_info inbox_full{
    "FER-1402", "10,000 messages wait for this run.",
    "Slow the senders down, or find out why the run doesn't read them: `fermata explain RUN`."};
inline constexpr code_info too_many_operations{
    "FER-1403", "The run has 10,000 operations in flight.",
    "Bound the fan-out: ctx.map(step, inputs, {.at_most = 100})."};
inline constexpr code_info text_too_long{"FER-1404",
                                         "A name, tag, status or message is longer than its bound.",
                                         "Shorten it; the message names the bound."};
inline constexpr code_info overloaded{
    "FER-1405", "A queue of this process is full.",
    "Wait and try again; add workers or raise their concurrency."};
inline constexpr code_info too_far{"FER-1406",
                                   "A delay, deadline or time lies more than 100 years ahead.",
                                   "Choose a nearer one."};

// ---- 20xx: opening a journal ----
inline constexpr code_info bad_address{
    "FER-2001", "The journal's address can't be understood or its store isn't built in.",
    "Write sqlite:FILE, postgres://USER@HOST/DATABASE or memory:."};
inline constexpr code_info not_a_journal{"FER-2002", "There is no journal of Fermata at this path.",
                                         "Check the path."};
inline constexpr code_info newer_version{
    "FER-2003", "A newer version wrote this journal.",
    "Use that version or a later one; `fermata doctor` names it."};
inline constexpr code_info network_file_system{
    "FER-2004", "The journal lies on a network file system, where locks can't be trusted.",
    "Move it to a local disk."};
inline constexpr code_info needs_migration{
    "FER-2005", "The journal has an older layout and other workers use it.",
    "Stop them and run `fermata migrate`."};
inline constexpr code_info no_permission{
    "FER-2006", "The system doesn't let this user use the journal's files.",
    "Use the account that its workers have, or change the permissions."};

// ---- 21xx: the store ----
inline constexpr code_info disk_full{"FER-2101",
                                     "The disk is full; nothing of this request was written.",
                                     "Make room; runs go on by themselves."};
inline constexpr code_info locked_too_long{
    "FER-2102", "Another process held the journal's write lock too long.",
    "The message names it; continue or end it."};
inline constexpr code_info damaged{
    "FER-2103", "A record doesn't match its own checksum.",
    "`fermata verify` names every damaged run; restore those from a backup."};
inline constexpr code_info input_output{"FER-2104", "Reading or writing the journal failed.",
                                        "The message has the system's reason."};
inline constexpr code_info database_away{
    "FER-2105", "The database server isn't there, or can't write just now.",
    "Workers go on by themselves when it is back; a call may be made again."};
inline constexpr code_info rolled_back{
    "FER-2106", "The database rolled a transaction back, again and again.",
    "Make the call again; if it stays, look for what else locks the journal's tables."};
inline constexpr code_info right_missing{"FER-2107", "The database role lacks a right.",
                                         "See `fermata migrate --print-role`."};
inline constexpr code_info other_database{"FER-2108", "Another database answers than before.",
                                          "Check the address, then restart what works on it."};
inline constexpr code_info no_state_folder{"FER-2109", "This host's workers have no state folder.",
                                           "Set FERMATA_STATE to one."};
inline constexpr code_info lost_by_promotion{
    "FER-2110", "A promoted server lacks what its primary had acknowledged.",
    "Make those calls again; docs/scaling.md says what can be named."};

// ---- 30xx: workers ----
inline constexpr code_info worker_misuse{
    "FER-3001", "The worker was set up in a way that can't work.",
    "The message says which call to change; nothing has been run."};
inline constexpr code_info worker_dead{
    "FER-3002", "Other workers took this one's runs, since it was silent for a lease.",
    "Look for a frozen process or host; it goes on under a new id."};
inline constexpr code_info not_connected{
    "FER-3003", "A step names a database that the worker isn't connected to, or not in this way.",
    "Call worker.connect for it before run, with the type of handle the message names."};
inline constexpr code_info not_in_this_version{
    "FER-3004", "A step asks for a process of its own, or for a queue that it can't have.",
    "Leave `isolation`, or that `queue`, out; docs/queues.md says which steps may have one."};

// ---- 31xx: modules ----
inline constexpr code_info module_unloadable{
    "FER-3101", "The module can't be loaded, or has no fermata_module_v1.",
    "The message has the loader's reason."};
inline constexpr code_info module_mismatch{
    "FER-3102", "The module was built with another version of Fermata or another compiler.",
    "Build both with the same; the message names them."};
inline constexpr code_info module_refused{"FER-3103", "The module's registration failed.",
                                          "The message has its own reason."};

// ---- 40xx: the command line ----
inline constexpr code_info usage{"FER-4001", "The command line can't be understood.",
                                 "`fermata help VERB` shows how it is written."};
inline constexpr code_info no_journal{"FER-4002", "The command needs a journal.",
                                      "Give --journal ADDRESS or set FERMATA_JOURNAL."};
inline constexpr code_info output_lost{
    "FER-4003", "Standard output couldn't be written to; what was asked for may have been done.",
    "Make room, or keep its reader open; then look with `fermata show RUN`."};

// clang-format off: a line for each would be a third of this file
inline constexpr code_info all[] = {
    failed, cancelled, timed_out, wait_over, terminated, expired, crashed, undecodable,
    quarantined, blocked, needs_attention, key_conflict, unknown_run, run_ended,
    unknown_workflow, bad_input, ambiguous_id, bad_key, not_allowed_now, bad_text,
    payload_too_large, inbox_full, too_many_operations, text_too_long, overloaded, too_far,
    bad_address, not_a_journal, newer_version, network_file_system, needs_migration,
    no_permission, disk_full, locked_too_long, damaged, input_output, database_away,
    rolled_back, right_missing, other_database, no_state_folder, lost_by_promotion,
    worker_misuse, worker_dead, not_connected, not_in_this_version, module_unloadable,
    module_mismatch, module_refused, usage, no_journal, output_lost};
// clang-format on

}  // namespace codes

/// All codes, in ascending order.
constexpr std::span<const code_info> all_codes() noexcept { return codes::all; }

/// What is known of a code; null when there is none such.
constexpr const code_info* code_named(std::string_view code) noexcept {
  for (const code_info& one : codes::all)
    if (one.code == code) return &one;
  return nullptr;
}

static_assert(std::ranges::is_sorted(codes::all, {}, &code_info::code),
              "every code once, in ascending order");

}  // namespace fermata
