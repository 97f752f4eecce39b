// SPDX-License-Identifier: Apache-2.0
// The workloads, asked of an engine that a driver describes:
//   open(serving), close()    `serving`: whether what was enqueued is executed
//   tenSteps(run)             starts a run of ten steps: { result(), lastLine }, promises of what it returned,
//                             after which all is durable; of the moment of its last line, where only that is
//                             told soon (W2 then asks for no results, which would be looked for all the time)
//   fanOut(kind, width)       a run that calls so many 'steps' or 'children' at once: how many came back
//   firstLine()               starts a run: the moment of its first line
//   listen(), tell(id)        a run that waits for a signal; signals it: { asked, woken }, moments of both
//   enqueue(i), enqueueMany(numbers), executed()    runs that do nothing, how many have begun
//   begun()                   executions of the steps of `tenSteps` so far
// What an engine hasn't, it can't be asked.
import {
  batch, clients, cpuSeconds, now, percentile, pump, settings, sleep, slots, steps, work,
} from './measure.mjs';

const rest = 5; // ms, before anything that is asked of an idle system
const fewest = 10; // samples of a latency, however long they take

async function warmUp(act) {
  const end = now() + settings.seconds * 500;
  for (let i = 0; i === 0 || (i < fewest && now() < end); i++) await act();
}

/// A run came back as it was sent, through ten steps.
const intact = (run, result) =>
  result?.run === run && result?.step === steps - 1 && result?.text === work(run).text;

async function counted(engine, measured) {
  const before = await engine.begun();
  const { runs, lost, ...figures } = await measured();
  const expected = runs * steps;
  const began = (await engine.begun()) - before;
  return { ...figures, runs, lost: lost + Math.max(0, expected - began), repeated: Math.max(0, began - expected) };
}

async function oneByOne(engine) {
  await engine.open(true);
  await warmUp(async () => (await engine.tenSteps(0)).result());
  return counted(engine, async () => {
    const results = [], lastLines = [];
    let lost = 0;
    for (const end = now() + settings.seconds * 1000; now() < end || results.length < fewest; ) {
      const run = results.length + 1;
      const began = now();
      const { result, lastLine } = await engine.tenSteps(run);
      if (lastLine) lastLines.push((await lastLine) - began);
      if (!intact(run, await result())) lost++;
      results.push(now() - began);
    }
    const figures = { runs: results.length, lost };
    if (lastLines.length > 0) figures.last_line_p50_ms = percentile(lastLines, 0.5);
    return { ...figures, p50_ms: percentile(results, 0.5), p99_ms: percentile(results, 0.99) };
  });
}

/// A closed loop. Time counts from when as many have ended as are in flight, and until as many again have:
/// a slow system's runs end in waves.
async function inFlight(engine) {
  await engine.open(true);
  const latencies = [];
  let runs = 0, ended = 0, lost = 0, since = 0, per_s = 0, cpu = 0, stop = false;
  const end = (at) => {
    ended++;
    if (ended === settings.inFlight) {
      since = at;
      cpu = cpuSeconds();
    }
    if (stop || ended < settings.inFlight * 2 || at - since < settings.seconds * 1000) return;
    const measured = ended - settings.inFlight;
    per_s = measured / ((at - since) / 1000);
    cpu = ((cpuSeconds() - cpu) * 1000) / measured;
    stop = true;
  };
  const loop = async () => {
    while (!stop) {
      const run = ++runs;
      const began = now();
      const { result, lastLine } = await engine.tenSteps(run);
      if (lastLine) await lastLine;
      else if (!intact(run, await result())) lost++;
      const at = now();
      if (since && !stop) latencies.push(at - began);
      end(at);
    }
  };
  return counted(engine, async () => {
    await Promise.all(Array.from({ length: settings.inFlight }, loop));
    return { runs, lost, wf_per_s: per_s, p99_ms: percentile(latencies, 0.99), cpu_ms_per_wf: cpu };
  });
}

async function fanOut(engine) {
  await engine.open(true);
  const figures = { lost: 0 };
  for (const kind of ['steps', 'children']) {
    const took = [];
    try {
      await engine.fanOut(kind, settings.width);
      for (const end = now() + settings.seconds * 500; took.length === 0 || now() < end; ) {
        const began = now();
        figures.lost += settings.width - (await engine.fanOut(kind, settings.width));
        took.push(now() - began);
      }
      figures[`${kind}_ms`] = percentile(took, 0.5);
    } catch (error) {
      figures[`${kind}_error`] = String(error?.message ?? error).slice(0, 200);
    }
  }
  return figures;
}

async function latencies(engine) {
  await engine.open(true);
  const sampled = async (one) => {
    await warmUp(one);
    const found = [];
    for (const end = now() + settings.seconds * 500; now() < end || found.length < fewest; ) found.push(await one());
    return found;
  };
  // Who polls isn't always asked at the same moment of his pause.
  const idle = () => sleep(rest + (engine.polls_ms ?? 0) * Math.random());
  const starts = await sampled(async () => {
    await idle();
    const began = now();
    return (await engine.firstLine()) - began;
  });
  const figures = { start_p50_ms: percentile(starts, 0.5), start_p99_ms: percentile(starts, 0.99) };
  if (!engine.listen) return figures;
  const signals = await sampled(async () => {
    const id = await engine.listen();
    await sleep(rest * 4);
    await idle();
    const { asked, woken } = await engine.tell(id);
    return woken - asked;
  });
  figures.signal_p50_ms = percentile(signals, 0.5);
  figures.signal_p99_ms = percentile(signals, 0.99);
  return figures;
}

function inBatch(i) {
  const length = Math.min(batch, settings.jobs - i * batch);
  return Array.from({ length }, (_, j) => i * batch + j);
}

/// How many, until `end`.
async function enqueueBatches(engine, end) {
  const calls = await pump(Math.ceil(settings.jobs / batch), 4, (i) => engine.enqueueMany(inBatch(i)), end);
  return Math.min(calls * batch, settings.jobs);
}

async function enqueued(engine) {
  await engine.open(Boolean(engine.always_serves));
  await pump(clients, clients, (i) => engine.enqueue(i));
  let began = now();
  const figures = {};
  const end = began + settings.seconds * 1000;
  const count = await pump(settings.jobs, clients, (i) => engine.enqueue(i), end);
  figures.one_by_one_per_s = count / ((now() - began) / 1000);
  if (!engine.enqueueMany) return figures;
  began = now();
  const many = await enqueueBatches(engine, began + settings.seconds * 1000);
  figures.batch_per_s = (many * 1000) / (now() - began);
  return figures;
}

async function drained(engine) {
  const patience = settings.seconds * 4000;
  await engine.open(Boolean(engine.always_serves));
  let began = now();
  const before = await engine.executed();
  const count = engine.enqueueMany
    ? await enqueueBatches(engine, began + patience)
    : await pump(settings.jobs, clients, (i) => engine.enqueue(i), began + patience);
  if (!engine.always_serves) {
    began = now();
    await engine.serve(slots);
  }
  const end = now() + patience;
  let done = 0, at = 0;
  const look = engine.always_serves ? 50 : 2; // where asking costs the engine something
  for (; now() < end; await sleep(look)) {
    [done, at] = [(await engine.executed()) - before, now()];
    if (done >= count) break;
  }
  return { runs: count, per_s: done / ((at - began) / 1000), not_in_time: Math.max(0, count - done) };
}

const workloads = { W1: oneByOne, W2: inFlight, W3: fanOut, W4: enqueued, W5: drained, W7: latencies };

/// Measures what the command line names, and ends the process.
export async function measure(engine) {
  const figures = await workloads[process.argv[2]](engine);
  process.stdout.write(JSON.stringify(figures) + '\n');
  await engine.close();
  process.exit(0);
}
