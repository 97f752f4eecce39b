// SPDX-License-Identifier: Apache-2.0
// restate_worker.mjs PORT: what Restate's server calls. Moments are of CLOCK_MONOTONIC, so that the client
// can compare them with its own.
import * as restate from '@restatedev/restate-sdk';
import { now, steps, work } from './measure.mjs';

let begun = 0, executed = 0;
const all = restate.RestatePromise.all;

const bench = restate.service({
  name: 'bench',
  handlers: {
    tenSteps: async (ctx, input) => {
      for (let i = 0; i < steps; i++) {
        const before = input;
        input = await ctx.run(`step ${i}`, async () => (begun++, { ...before, step: i }));
      }
      return input;
    },
    echo: async (ctx, input) => input,
    noop: async () => {
      executed++;
      return now();
    },
    counts: async () => ({ begun, executed }),
    fanOut: async (ctx, { kind, width }) => {
      const others = ctx.serviceClient({ name: 'bench' });
      const calls = {
        steps: (part) => ctx.run(`part ${part.run}`, async () => part),
        children: (part) => others.echo(part),
      };
      const parts = await all(Array.from({ length: width }, (_, i) => calls[kind](work(i))));
      return parts.filter((part, i) => part.run === i).length;
    },
  },
});
const listener = restate.workflow({
  name: 'listener',
  handlers: {
    run: async (ctx) => {
      await ctx.promise('go');
      return now();
    },
    go: async (ctx, signal) => ctx.promise('go').resolve(signal),
  },
});
restate.serve({ services: [bench, listener], port: Number(process.argv[2]) });
