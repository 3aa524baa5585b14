// Uses pm2 over its JS API, for the benchmark: one JSON request a line on standard input, one answer a line.
// Usage: node pm2.js PATH_OF_THE_MODULE

const fs = require("fs");
const readline = require("readline");
const pm2 = require(process.argv[2]);

console.log = () => {}; // pm2 writes messages for people

const ask = (method, ...given) =>
  new Promise((resolve, reject) =>
    method.call(pm2, ...given, (error, answer) => (error ? reject(error) : resolve(answer))),
  );

let bus = null;
const ended = new Set();
let awaited = null;

const calls = {
  connect: () => ask(pm2.connect),
  start: ({ options }) => ask(pm2.start, options),
  list: () => ask(pm2.list).then(({ length }) => length),
  describe: ({ name }) => ask(pm2.describe, name).then(({ length }) => length),
  restart: ({ name }) => ask(pm2.restart, name),
  remove: ({ name }) => ask(pm2.delete, name),
  dump: () => ask(pm2.dump),
  resurrect: () => ask(pm2.resurrect),
  kill: () => ask(pm2.killDaemon),
  async listen() {
    if (bus) return;
    bus = await ask(pm2.launchBus);
    bus.on("process:event", ({ event, process: { name } }) => {
      if (event !== "exit") return;
      ended.add(name);
      if (awaited && awaited.name === name) awaited.resolve(null);
    });
  },
  end: ({ name }) => new Promise((resolve) => (ended.has(name) ? resolve(null) : (awaited = { name, resolve }))),
};

// Only numbers are asked for: the rest would have to be written and read again.
const passedOn = (answer) => (typeof answer === "number" ? answer : null);
const reply = (answer) => fs.writeSync(1, `${JSON.stringify(answer)}\n`);

readline.createInterface({ input: process.stdin }).on("line", async (line) => {
  const { id, call, ...given } = JSON.parse(line);
  try {
    reply({ id, answer: passedOn(await calls[call](given)) });
  } catch (error) {
    reply({ id, error: String(error.message || error) });
  }
}).on("close", () => process.exit());
