// SPDX-License-Identifier: Apache-2.0
// DBOS Transact, a library in this process, on Postgres.
import { DBOS } from '@dbos-inc/dbos-sdk';
import { moments, now, settings, steps, work } from './measure.mjs';
import { measure } from './workloads.mjs';

const lines = moments();
let begun = 0, executed = 0, ids = 0;

const tenSteps = DBOS.registerWorkflow(async (input) => {
  for (let i = 0; i < steps; i++) {
    const before = input;
    input = await DBOS.runStep(async () => (begun++, { ...before, step: i }), { name: `step ${i}` });
  }
  return input;
}, { name: 'tenSteps' });
const echo = DBOS.registerWorkflow(async (input) => input, { name: 'echo' });
const noop = DBOS.registerWorkflow(async (input) => { executed++; lines.note(input.run); }, { name: 'noop' });
const calls = {
  steps: async (input) => DBOS.runStep(async () => input, { name: `part ${input.run}` }),
  children: async (input) => (await DBOS.startWorkflow(echo)(input)).getResult(),
};
const fanOut = DBOS.registerWorkflow(async (kind, width) => {
  const parts = await Promise.all(Array.from({ length: width }, (_, i) => calls[kind](work(i))));
  return parts.filter((part, i) => part.run === i).length;
}, { name: 'fanOut' });
const listener = DBOS.registerWorkflow(async (id) => {
  await DBOS.recv('go', 60);
  lines.note(id);
}, { name: 'listener' });

async function launch(queues) {
  DBOS.setConfig({
    name: 'peers', systemDatabaseUrl: settings.postgres, systemDatabasePoolSize: 20, logLevel: 'error',
    applicationVersion: '1', executorID: 'local', enableOTLP: false, ...queues,
  });
  await DBOS.launch();
}

await measure({
  async open(serving) {
    await launch(serving ? {} : { listenQueues: ['another'] });
    await DBOS.registerQueue('jobs');
  },
  async serve() {
    await DBOS.shutdown();
    await launch({});
  },
  close: () => DBOS.shutdown(),
  async tenSteps(run) {
    const handle = await DBOS.startWorkflow(tenSteps)(work(run));
    return { result: () => handle.getResult() };
  },
  fanOut: async (kind, width) => (await DBOS.startWorkflow(fanOut)(kind, width)).getResult(),
  async firstLine() {
    const id = ++ids;
    const line = lines.of(id);
    await DBOS.startWorkflow(noop)(work(id));
    return line;
  },
  async listen() {
    const id = `listener ${++ids}`;
    await DBOS.startWorkflow(listener, { workflowID: id })(id);
    return id;
  },
  async tell(id) {
    const woken = lines.of(id);
    const asked = now();
    await DBOS.send(id, work(1), 'go');
    return { asked, woken: await woken };
  },
  enqueue: (i) => DBOS.startWorkflow(noop, { queueName: 'jobs' })(work(-i)),
  executed: () => executed,
  begun: () => begun,
});
