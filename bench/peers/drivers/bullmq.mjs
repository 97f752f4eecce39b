// SPDX-License-Identifier: Apache-2.0
// BullMQ, on Redis.
import { Queue, Worker } from 'bullmq';
import { measureQueue } from './queues.mjs';

const port = Number(process.env.PEERS_REDIS_PORT);
const connection = { host: '127.0.0.1', port, maxRetriesPerRequest: null };
let queue, worker;

await measureQueue({
  async open() {
    queue = new Queue('jobs', { connection });
    await queue.waitUntilReady();
  },
  async work(handle, slots) {
    worker = new Worker('jobs', async (job) => handle(job.data), { connection, concurrency: slots });
    await worker.waitUntilReady();
  },
  send: (data) => queue.add('job', data),
  sendMany: (list) => queue.addBulk(list.map((data) => ({ name: 'job', data }))),
  async close() {
    await worker?.close(true);
    await queue.close();
  },
});
