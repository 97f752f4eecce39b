// SPDX-License-Identifier: Apache-2.0
// The client of Restate: its server and the worker (restate_worker.mjs) are processes of their own.
import http from 'node:http';
import { now, sleep, work } from './measure.mjs';
import { measure } from './workloads.mjs';

const ingress = Number(process.env.PEERS_INGRESS_PORT), admin = Number(process.env.PEERS_ADMIN_PORT);
const agent = new http.Agent({ keepAlive: true, maxSockets: 1024 });
let ids = 0;

function request(port, method, path, value) {
  return new Promise((resolve, reject) => {
    const body = value === undefined ? undefined : JSON.stringify(value);
    const sent = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body ?? '') };
    const headers = body === undefined ? {} : sent;
    const asked = http.request({ host: '127.0.0.1', port, method, path, agent, headers }, (answer) => {
      let text = '';
      answer.on('data', (part) => (text += part));
      answer.on('end', () => {
        if (answer.statusCode >= 300) reject(new Error(`${path}: ${answer.statusCode} ${text}`));
        else resolve(text ? JSON.parse(text) : undefined);
      });
    });
    asked.on('error', reject);
    asked.end(body);
  });
}
const call = (path, value) => request(ingress, 'POST', path, value);

async function patiently(act) {
  for (let left = 300; ; left--) {
    try {
      return await act();
    } catch (error) {
      if (left === 0) throw error;
      await sleep(100);
    }
  }
}

await measure({
  always_serves: true,
  async open() {
    await patiently(() => request(admin, 'GET', '/health'));
    await patiently(() => request(ingress, 'GET', '/restate/health'));
    const { deployments } = await request(admin, 'GET', '/deployments');
    if (deployments.length > 0) throw new Error('the server is not a new one');
    const uri = `http://127.0.0.1:${process.env.PEERS_WORKER_PORT}/`;
    await patiently(() => request(admin, 'POST', '/deployments', { uri }));
    await patiently(() => call('/bench/noop', work(0)));
  },
  async close() {
    agent.destroy();
  },
  tenSteps: async (run) => {
    const result = call('/bench/tenSteps', work(run));
    return { result: () => result };
  },
  fanOut: (kind, width) => call('/bench/fanOut', { kind, width }),
  firstLine: () => call('/bench/noop', work(++ids)),
  async listen() {
    const id = `listener${++ids}`;
    await call(`/listener/${id}/run/send`, {});
    return id;
  },
  async tell(id) {
    const woken = request(ingress, 'GET', `/restate/workflow/listener/${id}/attach`);
    await sleep(10);
    const asked = now();
    await call(`/listener/${id}/go`, work(1));
    return { asked, woken: await woken };
  },
  enqueue: (i) => call('/bench/noop/send', work(i)),
  executed: async () => (await call('/bench/counts', {})).executed,
  begun: async () => (await call('/bench/counts', {})).begun,
});
