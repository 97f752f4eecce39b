// SPDX-License-Identifier: Apache-2.0
// How should a store write to Postgres? Ways to send events, and connections side by side.
#include "bench/bench.hpp"
#include "bench/raw_postgres.hpp"

namespace fermata::bench {

void probe_postgres(const settings& how, report& to) {
  if (how.postgres.empty()) {
    to.add(line("probe-postgres")
               .put("skipped", "no --postgres ADDRESS; see scripts/with_postgres.sh"));
    return;
  }
  constexpr postgres_way ways[] = {postgres_way::text, postgres_way::binary, postgres_way::copied,
                                   postgres_way::appended};
  const std::vector<int> usual = {256};
  for (const int in_flight : how.in_flight.empty() ? usual : how.in_flight)
    for (const int lanes : {1, 2, 4})
      for (const postgres_way way : ways) {
        std::vector<double> found;
        for (int i = 0; i < how.repeat; ++i)
          found.push_back(raw_postgres(how.postgres, way, lanes, in_flight, how.seconds / 2));
        to.add(line("probe-postgres")
                   .put("in_flight", in_flight, 0)
                   .put("lanes", lanes, 0)
                   .put("wf_per_s", median(found), 0)
                   .put("events_by", text_of(way)));
      }
}

}  // namespace fermata::bench
