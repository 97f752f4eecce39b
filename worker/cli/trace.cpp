// SPDX-License-Identifier: Apache-2.0
#include "worker/cli/trace.hpp"

#include "worker/cli/address.hpp"
#include "worker/cli/command.hpp"
#include "worker/cli/text.hpp"

#include <boost/json.hpp>
#include <fmt/format.h>

#include <ostream>

namespace fermata::cli {

using standing = trace_node::standing;

namespace {

constexpr std::int64_t look_again_us = 1'000'000;

std::string_view symbol(standing how) {
  switch (how) {
    case standing::waiting:
      return "◷";
    case standing::working:
      return "●";
    case standing::done:
      return "✓";
    case standing::failed:
      return "✗";
    case standing::cancelled:
      return "⊘";
  }
  return " ";
}
tint shade(standing how) {
  switch (how) {
    case standing::waiting:
      return tint::yellow;
    case standing::working:
      return tint::blue;
    case standing::done:
      return tint::green;
    case standing::failed:
      return tint::red;
    case standing::cancelled:
      return tint::magenta;
  }
  return tint::plain;
}
std::string_view text_of_standing(standing how) {
  switch (how) {
    case standing::waiting:
      return "waiting";
    case standing::working:
      return "working";
    case standing::done:
      return "done";
    case standing::failed:
      return "failed";
    case standing::cancelled:
      return "cancelled";
  }
  return "";
}

/// "(1.2s, 3 attempts)": how long it took, or since when it is.
std::string brackets(session& s, const trace_node& n) {
  std::vector<std::string> parts;
  if (n.took_us)
    parts.push_back(span_text(*n.took_us));
  else if (n.since != 0)
    parts.push_back(s.time(n.since));
  if (n.attempts > 1) parts.push_back(fmt::format("{} attempts", n.attempts));
  return parts.empty() ? "" : "(" + join(parts, ", ") + ")";
}

void draw_node(session& s, const trace_node& n, const std::string& before, const std::string& below,
               std::size_t width, std::vector<std::string>& lines) {
  struct piece {
    std::string text;
    tint colour;
  };
  std::vector<piece> pieces{{before, tint::dim},
                            {std::string(symbol(n.how)) + " ", shade(n.how)},
                            {n.name, n.run ? tint::bold : tint::plain}};
  if (n.run) {
    if (!n.run->key.empty()) pieces.push_back({" " + clean(n.run->key), tint::bold});
    pieces.push_back({" " + n.run->run.text(), tint::dim});
    pieces.push_back({" " + state_text(*n.run), tint_of(n.run->state, n.run->attention)});
  } else if (n.kind == "timer" || n.kind == "signal") {
    if (n.kind == "signal") pieces.push_back({" signal", tint::dim});
  }
  if (const std::string how = brackets(s, n); !how.empty())
    pieces.push_back({" " + how, tint::dim});
  if (!n.note.empty())
    pieces.push_back({" " + n.note, n.how == standing::done ? tint::dim : shade(n.how)});
  if (!n.place.empty()) pieces.push_back({"  " + n.place, tint::dim});
  std::string line;
  std::size_t used = 0;
  for (const piece& one : pieces) {
    if (width != 0 && used >= width) break;
    const std::string text = width == 0 ? one.text : truncated(one.text, width - used);
    used += width_of(text);
    line += s.paint(text, one.colour);
  }
  lines.push_back(std::move(line));
  for (std::size_t i = 0; i < n.below.size(); ++i) {
    const bool last = i + 1 == n.below.size();
    draw_node(s, n.below[i], below + (last ? "└─ " : "├─ "), below + (last ? "   " : "│  "), width,
              lines);
  }
}

struct options {
  std::string run;
  trace_shape shape;
  bool follow = false;
};

/// What doesn't fit the screen is left out in the middle, so that the newest lines are seen.
void fit_height(session& s, std::vector<std::string>& lines) {
  const std::size_t height = s.where().height;
  if (height < 6 || lines.size() < height) return;
  const std::size_t out = lines.size() - height + 2;
  lines.erase(lines.begin() + 1, lines.begin() + 1 + static_cast<std::ptrdiff_t>(out));
  lines.insert(lines.begin() + 1, s.paint(fmt::format("│  … {} lines", out), tint::dim));
}

int follow(session& s, const options& o) {
  const bool in_place = s.where().out_is_terminal && s.as_table();
  std::vector<std::string> before;
  std::string printed;
  if (in_place) s.out() << "\x1b[?25l";
  for (engine::run_row row = find(s, o.run);;) {
    const std::uint32_t seen = s.store().wake_count();
    row = must(s.store().find_run(row.run));
    const trace_node root = trace_of(s, row, o.shape);
    if (s.as_json()) {
      const boost::json::object now = trace_json(s, root);
      if (std::string text = compact(now); text != printed) {
        s.print(now);
        printed = std::move(text);
      }
    } else {
      std::vector<std::string> lines = draw(s, root, s.width());
      if (in_place && !engine::ended(row.state)) fit_height(s, lines);
      if (in_place && !before.empty()) s.out() << fmt::format("\x1b[{}A\x1b[J", before.size());
      if (in_place || lines != before)
        for (const std::string& line : lines) s.out() << line << '\n';
      before = std::move(lines);
    }
    s.out().flush();
    if (engine::ended(row.state)) break;
    s.store().wait(seen, look_again_us);
  }
  if (in_place) s.out() << "\x1b[?25h" << std::flush;
  return done;
}

}  // namespace

std::vector<std::string> draw(session& s, const trace_node& root, std::size_t width) {
  std::vector<std::string> lines;
  draw_node(s, root, "", "", width, lines);
  return lines;
}

boost::json::object trace_json(session& s, const trace_node& node) {
  boost::json::object out = document(node.kind == "run" ? "trace" : "operation");
  out["kind"] = node.kind;
  out["name"] = node.name;
  out["operation"] = node.operation;
  out["standing"] = text_of_standing(node.how);
  out["note"] = node.note;
  out["place"] = node.place;
  out["attempts"] = node.attempts;
  out["since"] = time_json(node.since, s.shown());
  out["took_ms"] =
      node.took_us ? boost::json::value(*node.took_us / 1000) : boost::json::value(nullptr);
  if (node.run) out["run"] = run_json(*node.run, s.shown());
  boost::json::array& below = out["below"].emplace_array();
  for (const trace_node& one : node.below) below.emplace_back(trace_json(s, one));
  return out;
}

action declare_trace(CLI::App& flags) {
  const auto o = std::make_shared<options>();
  flags.add_option("RUN", o->run, "key, id, beginning of an id, or WORKFLOW/KEY")->required();
  flags.add_flag("-f,--follow", o->follow, "go on until the run ends, in place on a terminal");
  flags.add_option("--depth", o->shape.depth, "generations of children (10)")->type_name("N");
  flags.add_flag("--fold", o->shape.fold,
                 "finished operations in one line, finished children closed");
  return [o](session& s) -> int {
    if (o->shape.depth < 1) throw usage_error("--depth needs at least 1");
    if (o->follow) return follow(s, *o);
    const trace_node root = trace_of(s, find(s, o->run), o->shape);
    if (s.as_json()) {
      s.print(trace_json(s, root));
      return done;
    }
    if (s.how() == output::ids) {
      s.out() << root.run->run.text() << '\n';
      return done;
    }
    for (const std::string& line : draw(s, root, s.width())) s.out() << line << '\n';
    return done;
  };
}

}  // namespace fermata::cli
