// SPDX-License-Identifier: Apache-2.0
// The code that doc comments of the public headers show, as one program that compiles and runs.
// `snippets.py` holds both equal.
#include <fermata/asio.hpp>
#include <fermata/fermata.hpp>
#include <fermata/module.hpp>
#include <fermata/postgres.hpp>
#include <fermata/scope.hpp>
#include <fermata/sqlite.hpp>
#include <fermata/testing.hpp>

#include <doctest/doctest.h>
#include <libpq-fe.h>
#include <sqlite3.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <thread>

using namespace std::chrono_literals;

// clang-format off: it keeps the columns of what is shown.
struct order { std::string id; };
struct charge { std::string id; };
struct hold { std::string id; };
struct parcel { std::string id; };
struct receipt { std::string id; };
struct rates { double euro = 0; };
struct review { bool approved = false; };
struct progress { int done = 0; };
BOOST_DESCRIBE_STRUCT(order, (), (id))
BOOST_DESCRIBE_STRUCT(charge, (), (id))
BOOST_DESCRIBE_STRUCT(hold, (), (id))
BOOST_DESCRIBE_STRUCT(parcel, (), (id))
BOOST_DESCRIBE_STRUCT(receipt, (), (id))
BOOST_DESCRIBE_STRUCT(rates, (), (euro))
BOOST_DESCRIBE_STRUCT(review, (), (approved))
BOOST_DESCRIBE_STRUCT(progress, (), (done))

struct picture {};

/// As protobuf's messages are.
struct charge_request {
  bool SerializeToString(std::string* to) const { return to != nullptr; }
  bool ParseFromArray(const char*, int) { return true; }
};
using charge_reply = charge_request;

// [codec.hpp]
template <>
struct fermata::codec<picture> {
  static constexpr std::string_view content_type = "image/png";
  static constexpr std::string_view type_name = "picture";  // optional: tells types apart
  static constexpr bool canonical = true;  // optional: equal values have equal bytes
  static std::string encode(const picture&);
  static picture decode(std::string_view bytes);            // throws decode_error
  // optional, so that it may also be a member of a described struct:
  static boost::json::value to_json(const picture&);
  static picture from_json(const boost::json::value&);
  static std::string shape();  // optional: what to_json makes, as JSON Schema
};
// [codec.hpp] end
std::string fermata::codec<picture>::encode(const picture&) { return "png"; }
picture fermata::codec<picture>::decode(std::string_view) { return {}; }
boost::json::value fermata::codec<picture>::to_json(const picture&) { return "png"; }
picture fermata::codec<picture>::from_json(const boost::json::value&) { return {}; }
std::string fermata::codec<picture>::shape() { return R"({"type":"string"})"; }

// [protobuf.hpp]
#include <fermata/protobuf.hpp>
constexpr fermata::step<charge_reply(charge_request)> charge_card{"charge_card"};
// [protobuf.hpp] end

namespace constants {
// [step.hpp]
constexpr fermata::step<charge(order)> charge_card{"charge_card", {.timeout = 20s}};
constexpr fermata::step<void(hold)>    release_stock{"release_stock"};
constexpr fermata::step<rates()>       fetch_rates{"fetch_rates"};
// [step.hpp] end
// [workflow.hpp]
constexpr fermata::workflow<receipt(order)> place_order{"place_order"};
// [workflow.hpp] end
// [signal.hpp]
constexpr fermata::signal<review> reviewed{"reviewed"};
constexpr fermata::signal<>       go_on{"go_on"};        // carries nothing
// [signal.hpp] end
// [signal.hpp]
constexpr fermata::published<progress> render_progress{"progress"};
// [signal.hpp] end
// [transaction.hpp]
constexpr fermata::database<sqlite3> index_db{"index"};
// [transaction.hpp] end
// [task.hpp]
fermata::task<receipt> fulfil(fermata::context& ctx, order o);
// [task.hpp] end
}  // namespace constants

using namespace constants;

constexpr fermata::step<hold(order)> reserve_stock{"reserve_stock"};
constexpr fermata::step<parcel(order)> ship_parcel{"ship_parcel"};
constexpr fermata::step<void(std::string)> tell_customer{"tell_customer"};
constexpr fermata::workflow<int(int)> narrate_book{"narrate_book"};

// [module.hpp]
extern "C" int fermata_module_v1(fermata_module_info* info, fermata::worker* worker) {
  fermata::describe(*info, "orders");
  if (worker == nullptr) return 0;         // the host only asks who we are
  worker->serve(place_order, fulfil);
  return 0;
}
// [module.hpp] end

fermata::task<receipt> constants::fulfil(fermata::context& ctx, order o) {
  (void)co_await ctx.call(reserve_stock, o);
  parcel sent = co_await ctx.call(ship_parcel, o, {.retry = {.max_attempts = 2}});
  co_return receipt{sent.id};
}

static fermata::task<receipt> collect(fermata::context& ctx, order o) {
  fermata::future<charge> charging = ctx.call(constants::charge_card, o);
  // [future.hpp]
  fermata::outcome<charge> paid = co_await ctx.settle(charging);
  if (!paid) co_await ctx.call(tell_customer, paid.error().what());
  // [future.hpp] end
  co_return receipt{paid ? "paid" : "unpaid"};
}

struct chapter { int minutes = 1; };
struct novel { std::vector<chapter> chapters; };

static fermata::task<void> narrate(fermata::context& ctx, chapter c) {
  co_await ctx.sleep(std::chrono::minutes(c.minutes));
}

static fermata::task<int> narrate_all(fermata::context& ctx, int chapters) {
  const novel book{std::vector<chapter>(static_cast<std::size_t>(chapters))};
  // [scope.hpp]
  fermata::scope crew(ctx, {.deadline = 2h});
  for (const chapter& c : book.chapters) crew.spawn(narrate(ctx, c));
  co_await crew.join();
  // [scope.hpp] end
  co_return chapters;
}

static charge decline(const order&) {
  // [error.hpp]
  throw fermata::failure("card declined", {.type = "card_declined", .retryable = false});
  // [error.hpp] end
}

static void check(bool holds) { CHECK(holds); }

TEST_CASE("the testing kit's example holds in every way") {
  // [testing.hpp]
  fermata::testing::every_way([](fermata::testing::kit& t) {
    t.worker.serve(place_order, fulfil);
    t.worker.serve(reserve_stock, [](const order&) { return hold{"h1"}; });
    t.fail(ship_parcel, fermata::failure("carrier is down"));
    auto run = t.client.start(place_order, order{.id = "o1"});
    t.advance(1h);
    check(run.describe().error == "failure: carrier is down");
  });
  // [testing.hpp] end
}

TEST_CASE("a declined card is told to the customer, scopes end, awaitables are steps") {
  fermata::testing::kit t;
  fermata::worker& worker = t.worker;
  std::string told;
  worker.serve(constants::charge_card, decline);
  worker.serve(tell_customer, [&](const std::string& what) { told = what; });
  worker.serve(place_order, collect);
  worker.serve(narrate_book, narrate_all);
  // [asio.hpp]
  worker.serve(ship_parcel, [&](const order& o) -> boost::asio::awaitable<parcel> {
    co_return parcel{o.id};
  });
  // [asio.hpp] end

  CHECK(t.client.start(place_order, order{"o1"}).result().id == "unpaid");
  CHECK(told == "card declined");
  CHECK(t.client.start(narrate_book, 3).result() == 3);
}

TEST_CASE("a database is connected by its name, beside the journal or in it") {
  fermata::worker worker;
  // [sqlite.hpp]
  constexpr fermata::database<sqlite3> films{"films"};
  worker.connect(films, fermata::sqlite_database("films.db"));   // a file of your own, or
  worker.connect(films, fermata::journal_tables());              // tables in the journal's file
  // [sqlite.hpp] end
  CHECK(index_db.name() == "index");
}

struct film { std::string title; };
BOOST_DESCRIBE_STRUCT(film, (), (title))
constexpr fermata::step<void(film)> add_film{"add_film"};
static void insert(PGconn& db, const film& f) {
  const char* title = f.title.c_str();
  PQclear(PQexecParams(&db, "INSERT INTO film VALUES ($1)", 1, nullptr, &title, nullptr, nullptr, 0));
}

struct folder {
  std::filesystem::path path;
  folder() {
    std::string name = (std::filesystem::temp_directory_path() / "fermata_XXXXXX").string();
    REQUIRE(mkdtemp(name.data()) != nullptr);
    path = name;
  }
  ~folder() { std::filesystem::remove_all(path); }
};
static void insert_order(sqlite3* db, const order& o) {
  sqlite3_exec(db, ("INSERT INTO orders VALUES ('" + o.id + "')").c_str(), nullptr, nullptr, nullptr);
}

TEST_CASE("a run begins if its order is there") {
  const folder fresh;
  const std::filesystem::path before = std::filesystem::current_path();
  std::filesystem::current_path(fresh.path);
  fermata::journal journal = fermata::open("sqlite:orders.db");
  fermata::client client(journal);
  fermata::worker worker(journal);
  worker.serve(place_order, [](fermata::context&, order o) -> fermata::task<receipt> {
    co_return receipt{o.id};
  });
  std::thread working([&] { worker.run(); });
  sqlite3* db = nullptr;
  REQUIRE(sqlite3_open("orders.db", &db) == SQLITE_OK);
  sqlite3_exec(db, "CREATE TABLE orders(id TEXT)", nullptr, nullptr, nullptr);
  const order o{.id = "o1"};

  // [sqlite.hpp]
  fermata::sqlite_transaction both(db, "sqlite:orders.db");
  insert_order(db, o);
  auto started = client.start(db, place_order, o, {.key = o.id});
  both.commit();
  receipt r = started.committed().result(30s);
  // [sqlite.hpp] end

  CHECK(r.id == "o1");
  worker.stop();
  working.join();
  sqlite3_close(db);
  std::filesystem::current_path(before);
}

TEST_CASE("a database of Postgres is connected alike") {
  fermata::worker worker;
  // [postgres.hpp]
  constexpr fermata::database<PGconn> films{"films"};
  worker.connect(films, fermata::postgres_database("postgres://films@db/films"));
  worker.serve(add_film, films, [](PGconn& db, const film& f) { insert(db, f); });
  // [postgres.hpp] end
  CHECK(films.name() == "films");
}

TEST_CASE("names are what they say") {
  CHECK(::charge_card.name() == constants::charge_card.name());
  CHECK(release_stock.name() == "release_stock");
  CHECK(fetch_rates.name() == "fetch_rates");
  CHECK(reviewed.name() == "reviewed");
  CHECK(go_on.name() == "go_on");
  CHECK(render_progress.name() == "progress");
}
// clang-format on
