// SPDX-License-Identifier: Apache-2.0
// OpenWorkflow, a library in this process, on Postgres or, as $PEERS_STORE says, SQLite.
import { OpenWorkflow } from 'openworkflow';
import { moments, now, settings, sleep, steps, work } from './measure.mjs';
import { measure } from './workloads.mjs';

const lines = moments();
let backend, engine, worker, begun = 0, executed = 0, ids = 0;
const defined = {};

function define(name, does) {
  defined[name] = engine.defineWorkflow({ name }, does);
}

function defineAll() {
  define('tenSteps', async ({ input, step }) => {
    for (let i = 0; i < steps; i++) {
      const before = input;
      input = await step.run({ name: `step ${i}` }, async () => (begun++, { ...before, step: i }));
    }
    lines.note(`ten ${input.run}`);
    return input;
  });
  define('echo', async ({ input }) => input);
  define('noop', async ({ input }) => { executed++; lines.note(input.run); });
  define('fanOut', async ({ input, step }) => {
    const calls = {
      steps: (part) => step.run({ name: `part ${part.run}` }, async () => part),
      children: (part) => step.runWorkflow(defined.echo.workflow.spec, part, { name: `part ${part.run}` }),
    };
    const parts = await Promise.all(Array.from({ length: input.width }, (_, i) => calls[input.kind](work(i))));
    return parts.filter((part, i) => part.run === i).length;
  });
  define('listener', async ({ input, step }) => {
    await step.waitForSignal({ name: 'go', signal: input.id, timeout: '60s' });
    lines.note(input.id);
  });
}

async function serve(concurrency) {
  worker = engine.newWorker({ concurrency });
  await worker.start();
}

await measure({
  polls_ms: 1000,
  async open(serving) {
    if (process.env.PEERS_STORE === 'sqlite') {
      const { BackendSqlite } = await import('openworkflow/sqlite');
      backend = BackendSqlite.connect(`${settings.folder}/openworkflow.db`);
    } else {
      const { BackendPostgres } = await import('openworkflow/postgres');
      backend = await BackendPostgres.connect(settings.postgres);
    }
    engine = new OpenWorkflow({ backend });
    defineAll();
    if (serving) await serve(settings.inFlight);
  },
  serve,
  async close() {
    if (worker) await worker.stop();
    await backend.stop();
  },
  async tenSteps(run) {
    const lastLine = lines.of(`ten ${run}`);
    const handle = await defined.tenSteps.run(work(run));
    return { result: () => handle.result(), lastLine };
  },
  fanOut: async (kind, width) => (await defined.fanOut.run({ kind, width })).result({ timeoutMs: 120000 }),
  async firstLine() {
    const id = ++ids;
    const line = lines.of(id);
    await defined.noop.run(work(id));
    return line;
  },
  async listen() {
    const id = `listener ${++ids}`;
    await defined.listener.run({ id });
    return id;
  },
  async tell(id) {
    const woken = lines.of(id);
    for (;;) {
      const asked = now();
      // Who doesn't wait yet isn't reached.
      const { workflowRunIds } = await engine.sendSignal({ signal: id, data: work(1) });
      if (workflowRunIds.length > 0) return { asked, woken: await woken };
      await sleep(20);
    }
  },
  enqueue: (i) => defined.noop.run(work(-i)),
  executed: () => executed,
  begun: () => begun,
});
