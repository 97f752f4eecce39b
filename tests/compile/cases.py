# SPDX-License-Identifier: Apache-2.0
"""REFUSED: programs that must not compile, with words the compiler has to say. PASSES: those that
must. Each begins with head.hpp."""


def in_workflow(code):
    return "task<int> w(context& ctx, order o) { %s; co_return 1; }" % code


def in_worker(code):
    return "void m(fermata::worker& k) { %s; }" % code


def in_client(code):
    return "void m(fermata::client& c, fermata::any_run& r, order o) { %s; }" % code


RECORDED = "a workflow awaits only what is recorded"
OTHER_INPUT = "another type than the one this name was declared with"
DESCRIBE = "describe it with BOOST_DESCRIBE_STRUCT"
OTHER_TASK = "fermata::task of the workflow's result type"
NO_OPTION = "cannot convert initializer list argument to"
A_TASK = "task<int> v(context& ctx) { co_return 1; } "

AWAITS = {
    "awaits what is not recorded":
        (in_workflow("co_await std::suspend_always{}"), RECORDED),
    "awaits a number": (in_workflow("co_await 5"), RECORDED),
    "awaits a named task":
        (A_TASK + in_workflow("auto t = v(ctx); co_await t"), "await a task once, where it is made"),
    "yields": (in_workflow("co_yield 1"), "a workflow doesn't yield"),
    "drops a future": (in_workflow("ctx.call(reserve, o)"), "nodiscard"),
    "drops a task": (A_TASK + in_workflow("v(ctx)"), "nodiscard"),
    "drops a sleep": (in_workflow("ctx.sleep(5s)"), "nodiscard"),
    "an optional with patience":
        (in_workflow("co_await ctx.receive(maybe, 5s)"), "the empty result means that nobody"),
}

CALLS = {
    "wrong input to a step": (in_workflow("hold h; co_await ctx.call(reserve, h)"), OTHER_INPUT),
    "wrong input to a child": (in_workflow("co_await ctx.call(flow, 5)"), OTHER_INPUT),
    "a future as input":
        (in_workflow("auto h = ctx.call(reserve, o); co_await ctx.call(release, h)"),
         "that is a future: await it first"),
    "a string for a step":
        (in_workflow('co_await ctx.call("reserve", o)'), "a step is called by its typed constant"),
    "a misspelt option":
        (in_workflow("co_await ctx.call(reserve, o, {.time_out = 5s})"), NO_OPTION),
    "a misspelt child option": (in_workflow('co_await ctx.call(flow, o, {.id = "x"})'), NO_OPTION),
    "an option of a child at a step":
        (in_workflow('co_await ctx.call(reserve, o, {.key = "x"})'), NO_OPTION),
    "an option of another time":
        (in_workflow("co_await ctx.call(reserve, o, {.cache_for = 5s})"), NO_OPTION),
    "wrong compensation": (in_workflow("ctx.on_failure(release, o)"), OTHER_INPUT),
    "an undo with another input":
        (in_workflow("co_await ctx.call(reserve, o, {.undo = release})"),
         "undo takes a step with the input of the call it undoes"),
    "an undo without input":
        (in_workflow("co_await ctx.call(reserve, o, {.undo = uncount})"),
         "undo takes a step with the input of the call it undoes"),
    "an undo by name":
        (in_workflow('co_await ctx.call(reserve, o, {.undo = "release"})'), NO_OPTION),
    "an undo in a step's defaults":
        ('constexpr fermata::step<hold(order)> s{"s", {.undo = cancel_reservation}};', "no matching constructor"),
    "an undo of a child":
        (in_workflow("co_await ctx.call(flow, o, {.undo = cancel_reservation})"), NO_OPTION),
    "maps wrong inputs":
        (in_workflow("std::vector<hold> h; co_await ctx.map(reserve, h)"), "no matching"),
    "a rate for a map":
        (in_workflow("co_await ctx.map(reserve, {o}, {.per_second = 3})"), NO_OPTION),
    "publishes another type": (in_workflow("ctx.publish(shown, o)"), "no matching"),
    "tags with a value as name":
        (in_workflow("std::string k; ctx.tag(k, \"v\")"), "no viable conversion"),
    "tags with a blank": (in_workflow('ctx.tag("customer id", "v")'), "a_name_is_1_to_128"),
    "a body with parameters":
        (in_workflow('co_await ctx.run("n", [](int, int) { return 1; })'),
         "the body takes nothing, or a step_context&"),
    "a body with a wrong result":
        (in_workflow('co_await ctx.run("n", [] { return opaque{}; })'), DESCRIBE),
}

DECLARATIONS = {
    "two inputs": ('constexpr fermata::step<int(int, int)> s{"s"};',
                   "one input: put the parameters into a struct"),
    "not a signature": ('constexpr fermata::step<int> s{"s"};', "write the type as result(input)"),
    "not described": ('constexpr fermata::step<int(opaque)> s{"s"};', DESCRIBE),
    "a pointer": ('constexpr fermata::step<int(order*)> s{"s"};', "a pointer cannot be recorded"),
    "a list of undescribed":
        ('constexpr fermata::signal<std::vector<opaque>> s{"s"};', DESCRIBE),
    "publishes nothing":
        ('constexpr fermata::published<void> s{"s"};', "what is published is a value"),
    "a name with a blank":
        ('constexpr fermata::step<int(int)> s{"charge card"};', "a_name_is_1_to_128"),
    "an empty name": ('constexpr fermata::workflow<int(int)> s{""};', "a_name_is_1_to_128"),
    "a name from a string":
        ('std::string n = "x"; fermata::step<int(int)> s{n};', "no matching"),
    "a task without context":
        ("task<int> v(int i) { co_return i; }", "a task takes exactly one fermata::context&"),
    "a task with a reference":
        ("task<int> v(context& ctx, const order& o) { co_return o.cents; }",
         "a task takes its parameters by value"),
    "context last":
        ("task<int> v(int a, int b, context& ctx) { co_return a + b; }",
         "fermata::context& is the first parameter"),
    "context by value": ("task<int> v(context ctx) { co_return 1; }", "context"),
}

SERVES = {
    "serves a wrong input":
        (in_worker("k.serve(reserve, [](const hold& h) { return h; })"),
         "a step is served by a function of its input"),
    "serves a wrong result":
        (in_worker("k.serve(reserve, [](const order&) { return 5; })"),
         "returns another type than the step was declared with"),
    "serves another task":
        ('task<std::string> v(context&, order) { co_return ""; }' + in_worker("k.serve(flow, v)"),
         OTHER_TASK),
    "serves a plain function as workflow":
        (in_worker("k.serve(flow, [](context&, order) { return 1; })"), OTHER_TASK),
    "serves captures as workflow":
        (in_worker("int n = 1; k.serve(flow, [n](context& ctx, order) -> task<int> "
                   "{ co_return n; })"),
         "a workflow keeps no state outside its frame"),
    "an awaitable without asio.hpp":
        ("#include <boost/asio/awaitable.hpp>\nboost::asio::awaitable<hold> f(const order&); " +
         in_worker("k.serve(reserve, [](const order& o) { return f(o); })"),
         "#include <fermata/asio.hpp>"),
    "an awaitable of another type":
        ("#include <fermata/asio.hpp>\nboost::asio::awaitable<int> f(const order&); " +
         in_worker("k.serve(reserve, [](const order& o) { return f(o); })"),
         "returns another type than the step was declared with"),
    "serves another handle in a transaction":
        (in_worker("k.serve(reserve, films, [](int&, const order&) { return hold{}; })"),
         "a transactional step is served by a function of the database handle"),
    "connects a database of another kind":
        (in_worker(
            'constexpr fermata::database<pg_conn> d{"d"}; '
            'k.connect(d, fermata::sqlite_database("x.db"))'), "no matching"),
    "copies a worker": ("void m(fermata::worker& k) { fermata::worker j = k; }", "deleted"),
}

CLIENTS = {
    "starts with a wrong input": (in_client("(void)c.start(flow, 5)"), OTHER_INPUT),
    "starts with a wrong input in a transaction":
        ("void m(fermata::client& c, sqlite3* db) { (void)c.start(db, flow, 5); }", OTHER_INPUT),
    "waits for what isn't committed":
        ("void m(fermata::client& c, sqlite3* db, order o) { c.start(db, flow, o).result(); }",
         "no member named"),
    "signals what isn't committed, without its transaction":
        ("void m(fermata::client& c, sqlite3* db, order o) { c.start(db, flow, o).signal(go_on); }",
         "no member named"),
    "drops a look-up": (in_client('c.attach(flow, "k")'), "nodiscard"),
    "a misspelt start option": (in_client('(void)c.start(flow, o, {.id = "x"})'), NO_OPTION),
    "a misspelt duplicate":
        (in_client("(void)c.start(flow, o, {.on_duplicate = fermata::on_duplicate::replace})"),
         "replace"),
    "sends another type": (in_client("r.signal(held, o)"), "no matching"),
    "sends nothing where something is wanted": (in_client("r.signal(held)"), "no matching"),
    "asks any run for its result": (in_client("r.result()"), "result"),
    "filters by what isn't there": (in_client('c.list({.attributes = {}})'), "attributes"),
}

PASSES = {
    "a request in braces":
        in_workflow('hold h = co_await ctx.call(reserve, order{.id = "x"})'),
    "untyped braces": in_workflow('hold h = co_await ctx.call(reserve, {.id = "x"})'),
    "a literal for a string": in_workflow('std::string s = co_await ctx.call(greet, "x")'),
    "options in braces":
        in_workflow("hold h = co_await ctx.call(reserve, o, "
                    "{.timeout = 5s, .retry = {.max_attempts = 2}})"),
    "options with undo":
        in_workflow("hold h = co_await ctx.call(reserve, o, "
                    "{.timeout = 5s, .undo = cancel_reservation})"),
    "an undo of a call without input":
        in_workflow("int n = co_await ctx.call(count, {.undo = uncount})"),
    "an input by reference":
        'constexpr fermata::step<int(const order&)> s{"s"}; '
        'constexpr fermata::step<void(order)> u{"u"}; ' +
        in_workflow("int n = co_await ctx.call(s, o, {.undo = u})"),
    "named options":
        in_workflow("fermata::call_options<order> slow{.timeout = 5h}; "
                    "hold h = co_await ctx.call(reserve, o, slow)"),
    "child options":
        in_workflow('int n = co_await ctx.call(flow, o, {.key = "k", .deadline = 1h, '
                    '.queue = "q", .priority = 3, '
                    ".on_parent_close = fermata::parent_close::abandon})"),
    "a child to talk to":
        in_workflow("auto c = ctx.start_child(bare); c.signal(go_on); c.signal(held, {.id = \"x\"}); "
                    "c.cancel(); int n = co_await c.result()"),
    "a lambda by value":
        in_workflow('std::string s = "x"; '
                    'int n = co_await ctx.run("n", [s] { return (int)s.size(); })'),
    "a member coroutine":
        "struct desk { int n; task<int> v(context& ctx, order o) "
        "{ hold h = co_await ctx.call(reserve, o); co_return n; } };",
    "catching failure leaves the rest alone":
        "static_assert(!std::is_base_of_v<fermata::failure, fermata::cancelled>); "
        "static_assert(!std::is_base_of_v<fermata::error, fermata::decode_error>);",
    "nested combinators":
        in_workflow('auto both = ctx.all(ctx.call(reserve, o), '
                    'ctx.timeout(ctx.call(greet, "x"), 5s)); '
                    "co_await ctx.race(both, ctx.sleep(1h))"),
    "maps a step and a child":
        in_workflow("std::vector<order> all(9, o); "
                    "std::vector<hold> h = co_await ctx.map(reserve, all, {.at_most = 4}); "
                    "std::vector<int> n = co_await ctx.map(flow, all); "
                    "co_await ctx.map(release, h)"),
    "status, log, tag, publish":
        in_workflow('ctx.status("s"); ctx.log("l"); ctx.log(fermata::level::warning, "w"); '
                    'ctx.tag("customer", o.id); ctx.publish(shown, {.id = "x"}); '
                    'ctx.signal("run_1", held, {.id = "x"}); ctx.signal("run_1", go_on); '
                    'if (ctx.patched("p")) co_await ctx.sleep_until(ctx.now() + 5s)'),
    "a transaction":
        in_workflow("int n = co_await ctx.transaction(\"t\", films, [](sqlite3&) { return 1; })"),
    "serves a transaction and connects":
        in_worker("k.serve(reserve, films, [](sqlite3&, const order& o) { return hold{o.id}; }); "
                  "k.serve(uncount, films, [](sqlite3&) {}); "
                  'k.connect(films, fermata::sqlite_database("f.db")); '
                  "k.connect(films, fermata::journal_tables())"),
    "starts and signals in a transaction":
        "void m(fermata::client& c, fermata::any_run& r, sqlite3* db, order o) { "
        'fermata::uncommitted_run<int> run = c.start(db, flow, o, {.key = "k"}); '
        'c.start(db, flow, {.id = "x"}); c.start(db, bare); c.signal(db, run, go_on); '
        'c.signal(db, r, held, {.id = "x"}); int n = run.committed().result(); (void)n; }',
    "connects a Postgres database":
        in_worker('constexpr fermata::database<pg_conn> d{"d"}; '
                  "k.serve(reserve, d, [](pg_conn&, const order& o) { return hold{o.id}; }); "
                  'k.connect(d, fermata::postgres_database("postgres://h/d", {.connections = 4}))'),
    "serves with and without context":
        in_worker("k.serve(count, [] { return 1; }); "
                  "k.serve(count, [](fermata::step_context& s) { return s.attempt(); }); "
                  "k.serve(bare, [](context& ctx) -> task<int> { co_return 1; })"),
    "serves an awaitable":
        "#include <fermata/asio.hpp>\nboost::asio::awaitable<hold> f(const order&); "
        "boost::asio::awaitable<void> g(); " +
        in_worker("k.serve(reserve, [](const order& o) { return f(o); }); "
                  "k.serve(uncount, [] { return g(); })"),
    "serves what can only be moved":
        in_worker("auto p = std::make_shared<int>(3); "
                  "k.serve(count, [p] { return *p; })"),
    "a worker of its own":
        'int m(int argc, char** argv) { fermata::worker k{{.concurrency = 8, .queues = {"gpu"}}}; '
        "return fermata::main(k, argc, argv); }",
    "start options":
        in_client('auto x = c.start(flow, o, {.key = "k", '
                  ".on_duplicate = fermata::on_duplicate::restart_if_ended, .delay = 5s, "
                  ".not_after = fermata::time_point(), .deadline = 1h, .queue = \"q\", "
                  '.priority = 2, .tags = {{"a", "b"}}}); int n = x.result(30s); '
                  'auto y = c.attach(flow, "k"); n = y.result()'),
    "starts and forgets": in_client('c.start(flow, o, {.key = "k"}); c.start(bare)'),
    "starts many":
        in_client("std::vector<order> all(3); auto x = c.start_many(flow, all, {.queue = \"q\"}); "
                  'auto y = c.start_many(flow, {{o, "k1"}, {o, "k2"}}); int n = x[0].result()'),
    "lists":
        in_client('for (const fermata::run_info& i : c.list({.workflow = "flow", '
                  ".state = fermata::run_state::failed, .tags = {{\"a\", \"b\"}}, .key = \"k\", "
                  ".since = fermata::time_point(), .at_most = 5, .cursor = \"\"})) "
                  "(void)fermata::text_of(i.state)"),
    "any run":
        in_client('fermata::any_run a = c.find("run_1"); a.signal(held, {.id = "x"}); '
                  'a.signal(go_on); a.cancel(); a.terminate("why"); (void)a.describe(); '
                  "std::optional<hold> h = a.published(shown)"),
    "a module":
        "#include <fermata/module.hpp>\n"
        'extern "C" int fermata_module_v1(fermata_module_info* info, fermata::worker* worker) '
        '{ fermata::describe(*info, "orders"); if (worker) worker->serve(count, [] { return 1; }); '
        "return 0; }",
    "a scope":
        in_workflow("fermata::scope crew(ctx, {.deadline = 1h}); crew.spawn([](context& b) -> "
                    "task<void> { co_await b.sleep(1s); }); crew.add(ctx.sleep(2h)); "
                    "co_await crew.join()"),
    "a kit":
        "void s(fermata::testing::kit& t) { t.fail(reserve, fermata::failure(\"x\")); "
        "t.hang(reserve, 2); t.work(); t.advance(1h); (void)t.attempts(\"reserve\"); "
        "t.replay_all(); } int n = fermata::testing::every_way(s);",
}

REFUSED = {**AWAITS, **CALLS, **DECLARATIONS, **SERVES, **CLIENTS}
