// SPDX-License-Identifier: Apache-2.0
// What queues have in common: jobs without steps, of which a worker of this process notes the first line.
import { moments, slots, work } from './measure.mjs';
import { measure } from './workloads.mjs';

/// `queue`: open(), work(handler, slots), send(data), sendMany(list), close().
export async function measureQueue(queue) {
  const lines = moments();
  let executed = 0, ids = 0;
  const serve = (atOnce) =>
    queue.work(async (data) => {
      executed++;
      lines.note(data.run);
    }, atOnce);
  await measure({
    async open(serving) {
      await queue.open();
      if (serving) await serve(slots);
    },
    serve,
    close: () => queue.close(),
    async firstLine() {
      const id = ++ids;
      const line = lines.of(id);
      await queue.send(work(id));
      return line;
    },
    enqueue: (i) => queue.send(work(-i)),
    enqueueMany: (numbers) => queue.sendMany(numbers.map((i) => work(-i))),
    executed: () => executed,
  });
}
