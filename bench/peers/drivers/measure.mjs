// SPDX-License-Identifier: Apache-2.0
// What all drivers share: settings, clocks, figures, processor time. A driver prints one JSON object.
import fs from 'node:fs';

const number = (name, otherwise) => Number(process.env[name] ?? otherwise);
export const settings = {
  seconds: number('PEERS_SECONDS', 3), // of one measurement
  inFlight: number('PEERS_IN_FLIGHT', 256),
  jobs: number('PEERS_JOBS', 20000), // W4, W5
  width: number('PEERS_WIDTH', 1000), // W3
  payload: number('PEERS_PAYLOAD', 120), // bytes of each input and result, as JSON
  postgres: process.env.FERMATA_TEST_POSTGRES,
  folder: process.env.PEERS_FOLDER,
};
export const steps = 10;
export const clients = 64; // W4: that start one by one
export const batch = 1000; // W4, W5: jobs a call, where there is such a call
export const slots = 64; // W5: jobs at once

/// CLOCK_MONOTONIC in ms: comparable across processes of one machine.
export const now = () => Number(process.hrtime.bigint()) / 1e6;
export const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

/// As fermata-bench makes it: {"run":12345,"step":10,"text":"…"}
export const work = (run, step = 0) => ({ run, step, text: 'x'.repeat(Math.max(0, settings.payload - 34)) });

export function percentile(values, part) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))];
}

/// `count` calls of `act`, so many at a time, none begun after `end`; how many were begun.
export async function pump(count, atOnce, act, end = Infinity) {
  let begun = 0;
  const one = async () => {
    while (begun < count && now() < end) await act(begun++);
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, count) }, one));
  return begun;
}

/// Who waits for a moment that code of the same process notes.
export function moments() {
  const waiting = new Map();
  return {
    of: (id) => new Promise((noted) => waiting.set(id, noted)),
    note: (id) => {
      waiting.get(id)?.(now());
      waiting.delete(id);
    },
  };
}

const ticks = 100; // a second, of /proc

function processes() {
  const all = new Map();
  for (const name of fs.readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const text = fs.readFileSync(`/proc/${name}/stat`, 'latin1');
      const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
      const used = fields.slice(11, 15).reduce((sum, one) => sum + Number(one), 0);
      all.set(Number(name), { parent: Number(fields[1]), used: used / ticks });
    } catch {} // it has ended
  }
  return all;
}

/// Processor seconds so far of this process and of the servers, with all that they have begun.
export function cpuSeconds() {
  const roots = [process.pid, ...(process.env.PEERS_SERVERS ?? '').split(',').filter(Boolean).map(Number)];
  const data = process.env.FERMATA_POSTGRES_DATA;
  if (data) roots.push(Number(fs.readFileSync(`${data}/postmaster.pid`, 'latin1').split('\n')[0]));
  const all = processes();
  const below = (pid) => {
    for (let at = pid; all.has(at); at = all.get(at).parent) if (roots.includes(at)) return true;
    return false;
  };
  let sum = 0;
  for (const [pid, one] of all) if (below(pid)) sum += one.used;
  return sum;
}
