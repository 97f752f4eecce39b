// SPDX-License-Identifier: Apache-2.0
// pg-boss, on Postgres.
import { PgBoss } from 'pg-boss';
import { settings } from './measure.mjs';
import { measureQueue } from './queues.mjs';

const boss = new PgBoss({ connectionString: settings.postgres, max: 20, useListenNotify: true });
boss.on('error', (error) => console.error(error));

await measureQueue({
  async open() {
    await boss.start();
    await boss.createQueue('jobs', { notify: true });
  },
  work: (handle, slots) =>
    boss.work(
      'jobs',
      { batchSize: slots, localConcurrency: 1, burstWhenBatchFull: true, pollingIntervalSeconds: 0.5 },
      async (jobs) => { await Promise.all(jobs.map((job) => handle(job.data))); },
    ),
  send: (data) => boss.send('jobs', data),
  sendMany: (list) => boss.insert('jobs', list.map((data) => ({ data }))),
  close: () => boss.stop({ graceful: true, timeout: 5000, close: true }),
});
