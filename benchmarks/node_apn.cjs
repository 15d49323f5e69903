// node-apn's part of `python -m benchmarks sender`: the run comes as JSON on standard input, the figures leave as JSON.
const { readFileSync } = require('node:fs');
const { Provider, Notification } = require('@parse/node-apn');

async function main() {
  const run = JSON.parse(readFileSync(0, 'utf8'));
  const provider = new Provider({
    token: { key: Buffer.from(run.key_pem), keyId: 'ABC123DEFG', teamId: 'DEF123GHIJ' },
    address: 'localhost',
    port: run.port,
    ca: Buffer.from(run.ca_pem),
    production: true,
  });
  let sent = 0;
  const worker = async () => {
    while (sent < run.requests) {
      const number = sent++;
      const notification = new Notification();
      notification.topic = 'com.example.app';
      notification.expiry = 2000000000;
      notification.priority = 5;
      notification.alert = { title: run.title, body: run.body };
      notification.payload = { link: run.link };
      const answer = await provider.send(notification, run.tokens[number % run.tokens.length]);
      if (answer.sent.length !== 1) throw new Error(JSON.stringify(answer.failed));
    }
  };
  const cpu = process.cpuUsage();
  const started = process.hrtime.bigint();
  await Promise.all(Array.from({ length: run.at_once }, worker));
  const elapsed_s = Number(process.hrtime.bigint() - started) / 1e9;
  const used = process.cpuUsage(cpu);
  process.stdout.write(JSON.stringify({
    requests_per_s: run.requests / elapsed_s,
    cpu_s_per_10k: (used.user + used.system) / 1e6 / run.requests * 10000,
  }), () => process.exit(0));
}

main().catch((error) => { console.error(error); process.exit(1); });
