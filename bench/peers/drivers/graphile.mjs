// SPDX-License-Identifier: Apache-2.0
// graphile-worker, on Postgres; $PEERS_LOCAL_QUEUE jobs taken at a time into its local queue.
import { Logger, makeWorkerUtils, run } from 'graphile-worker';
import pg from 'pg';
import { settings } from './measure.mjs';
import { measureQueue } from './queues.mjs';

const local = Number(process.env.PEERS_LOCAL_QUEUE ?? 0);
const pgPool = new pg.Pool({ connectionString: settings.postgres, max: 20 });
const logger = new Logger(() => () => {});
let utils, runner;

await measureQueue({
  async open() {
    utils = await makeWorkerUtils({ pgPool, logger });
    await utils.migrate();
  },
  async work(handle, slots) {
    const batches = local > 0 ? { localQueue: { size: local }, completeJobBatchDelay: 0 } : {};
    const preset = { worker: { concurrentJobs: slots, ...batches } };
    runner = await run({ pgPool, logger, noHandleSignals: true, taskList: { jobs: handle }, preset });
  },
  send: (data) => utils.addJob('jobs', data),
  sendMany: (list) => utils.addJobs(list.map((payload) => ({ identifier: 'jobs', payload }))),
  async close() {
    await runner?.stop();
    await utils.release();
    await pgPool.end();
  },
});
