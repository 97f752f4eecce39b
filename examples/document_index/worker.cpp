// SPDX-License-Identifier: Apache-2.0
// The worker: `document_index_worker --journal sqlite:journal.db`. Kill it as often as you like.
#include "files.hpp"
#include "index.hpp"
#include "workflows.hpp"

#include <fermata/sqlite.hpp>

int main(int argc, char** argv) {
  documents::make_index("index.db");

  fermata::worker worker({.concurrency = 8});
  worker.serve(documents::list_files, documents::list);
  worker.serve(documents::hash_file, documents::hash);
  worker.serve(documents::count_file, documents::count);
  worker.serve(documents::find_title, documents::title);

  worker.connect(documents::index_db, fermata::sqlite_database("index.db"));
  worker.serve(documents::add_to_index, documents::index_db, documents::add);
  worker.serve(documents::count_index, documents::index_db, documents::sum);
  worker.serve(documents::search_index, documents::index_db, documents::search);

  worker.serve(documents::index_tree, documents::walk);
  worker.serve(documents::index_file, documents::take_in);
  worker.serve(documents::report_on, documents::look_up);
  return fermata::main(worker, argc, argv);
}
